"""A temporary customer: a user of the pool who may submit tickets for as long as the check runs."""

from __future__ import annotations

import base64
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from ops.stack import DeployedStack
from ops.verify.leftovers import Leftovers

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_cognito_idp.type_defs import AuthenticationResultTypeTypeDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Who the check is: the `subject` is the user's `sub`, as tickets name it."""

    name: str
    subject: str
    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    is_known_in_capitals: bool

    @classmethod
    def create(cls, stack: DeployedStack, run_id: str, leftovers: Leftovers) -> Self:
        """Create the user with a random password that nobody keeps, and sign in. Raises botocore's errors."""
        cognito: CognitoIdentityProviderClient = stack.client("cognito-idp")
        pool, name = stack.output("UserPoolId"), f"verify-{run_id}@example.com"
        password = secrets.token_urlsafe(24) + "aA1"

        def delete() -> None:
            with suppress(cognito.exceptions.UserNotFoundException):
                cognito.admin_delete_user(UserPoolId=pool, Username=name)

        leftovers.add(f"user {name}", delete)
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
            is_known_in_capitals = True
        except (cognito.exceptions.NotAuthorizedException, cognito.exceptions.UserNotFoundException):
            is_known_in_capitals = False
        claims = tokens["IdToken"].split(".")[1]
        return cls(
            name=name,
            subject=json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"],
            id_token=tokens["IdToken"],
            access_token=tokens["AccessToken"],
            is_known_in_capitals=is_known_in_capitals,
        )
