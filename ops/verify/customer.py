"""A temporary customer: a user of the pool that exists only during the check."""

from __future__ import annotations

import base64
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from ops.stack import DeployedStack
from ops.verify.cleanup import Cleanup

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_cognito_idp.type_defs import AuthenticationResultTypeTypeDef


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporaryCustomer:
    """A signed-in user; `subject` is the `sub` claim, which is the customer id in tickets."""

    name: str
    subject: str
    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    can_sign_in_with_capitals: bool

    @classmethod
    def create(cls, stack: DeployedStack, run_id: str, cleanup: Cleanup) -> Self:
        """Create the user with a random password and sign in. Raises botocore's errors."""
        cognito: CognitoIdentityProviderClient = stack.client("cognito-idp")
        pool, name = stack.output("UserPoolId"), f"verify-{run_id}@example.com"
        password = secrets.token_urlsafe(24) + "aA1"

        def delete() -> None:
            with suppress(cognito.exceptions.UserNotFoundException):
                cognito.admin_delete_user(UserPoolId=pool, Username=name)

        cleanup.add(f"user {name}", delete)
        cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=password, Permanent=True)

        def sign_in(user: str) -> AuthenticationResultTypeTypeDef:
            return cognito.admin_initiate_auth(
                UserPoolId=pool,
                ClientId=stack.output("UserPoolClientId"),
                AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": user, "PASSWORD": password},
            )["AuthenticationResult"]

        tokens = sign_in(name)
        try:
            sign_in(name.upper())
            can_sign_in_with_capitals = True
        except (cognito.exceptions.NotAuthorizedException, cognito.exceptions.UserNotFoundException):
            can_sign_in_with_capitals = False
        return cls(
            name=name,
            subject=_subject(tokens["IdToken"]),
            id_token=tokens["IdToken"],
            access_token=tokens["AccessToken"],
            can_sign_in_with_capitals=can_sign_in_with_capitals,
        )


def _subject(id_token: str) -> str:
    claims = id_token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"])
