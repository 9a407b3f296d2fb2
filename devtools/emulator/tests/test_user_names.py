"""Signing in with a user name that differs in case."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from devtools.emulator.tests.harness import Emulator, unique

PASSWORD = "Correct-horse-7"


class Pool:
    """A user pool, with one user."""

    def __init__(self, emulator: Emulator, **settings: Any) -> None:
        properties = {"UserPoolName": unique("pool"), "UsernameAttributes": ["email"], **settings}
        flows = ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
        ids = emulator.deploy(
            unique("stack"),
            {
                "Pool": {"Type": "AWS::Cognito::UserPool", "Properties": properties},
                "Client": {
                    "Type": "AWS::Cognito::UserPoolClient",
                    "Properties": {"UserPoolId": {"Ref": "Pool"}, "ExplicitAuthFlows": flows},
                },
            },
        )
        self.cognito, self.id, self.client_id = emulator.client("cognito-idp"), ids["Pool"], ids["Client"]
        self.create("new-agent@example.com")
        self.cognito.admin_set_user_password(
            UserPoolId=self.id, Username="new-agent@example.com", Password=PASSWORD, Permanent=True
        )

    def create(self, name: str) -> None:
        self.cognito.admin_create_user(UserPoolId=self.id, Username=name, MessageAction="SUPPRESS")

    def sign_in(self, name: str) -> str:
        response = self.cognito.admin_initiate_auth(
            UserPoolId=self.id,
            ClientId=self.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
        )
        return str(response["AuthenticationResult"]["IdToken"])


def test_in_a_case_insensitive_pool_the_case_does_not_matter(emulator: Emulator) -> None:
    pool = Pool(emulator, UsernameConfiguration={"CaseSensitive": False})

    assert pool.sign_in("New-Agent@Example.com")
    assert pool.sign_in("new-agent@example.com")
    with pytest.raises(ClientError, match="UsernameExistsException"):
        pool.create("NEW-AGENT@example.com")
    with pytest.raises(ClientError, match=r"UserNotFound|NotAuthorized"):
        pool.sign_in("another@example.com")


@pytest.mark.parametrize("settings", [{}, {"UsernameConfiguration": {"CaseSensitive": True}}])
def test_in_another_pool_the_case_matters(emulator: Emulator, settings: dict[str, Any]) -> None:
    pool = Pool(emulator, **settings)

    assert pool.sign_in("new-agent@example.com")
    with pytest.raises(ClientError, match=r"UserNotFound|NotAuthorized"):
        pool.sign_in("New-Agent@Example.com")
    pool.create("New-Agent@Example.com")
