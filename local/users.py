"""The demo users of a local stack: a customer, an agent and an admin, and their tokens."""

import json
import secrets
from pathlib import Path

from local.private_files import write_private
from local.stack import Stack

# Token file → user name and group. example.com is reserved for examples.
_USERS = {
    "token": ("customer@example.com", None),
    "agent-token": ("agent@example.com", "agents"),
    "admin-token": ("admin@example.com", "admins"),
}


def create_users(stack: Stack, folder: Path) -> None:
    """Create the demo users with random passwords, and write these to `passwords.json`."""
    cognito = stack.client("cognito-idp")
    passwords = {}
    for name, group in _USERS.values():
        passwords[name] = secrets.token_urlsafe(18) + "aA1"
        user = {"UserPoolId": stack.user_pool_id, "Username": name}
        attributes = [{"Name": "email", "Value": name}, {"Name": "email_verified", "Value": "true"}]
        cognito.admin_create_user(**user, UserAttributes=attributes, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(**user, Password=passwords[name], Permanent=True)
        if group:
            cognito.admin_add_user_to_group(**user, GroupName=group)
    write_private(folder / "passwords.json", json.dumps(passwords))


def renew_tokens(stack: Stack, folder: Path) -> None:
    """Sign in the demo users, and write their ID tokens to `token`, `agent-token` and `admin-token`."""
    cognito = stack.client("cognito-idp")
    passwords = json.loads((folder / "passwords.json").read_text())
    for file, (name, _) in _USERS.items():
        response = cognito.admin_initiate_auth(
            UserPoolId=stack.user_pool_id,
            ClientId=stack.user_pool_client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": passwords[name]},
        )
        write_private(folder / file, response["AuthenticationResult"]["IdToken"])
