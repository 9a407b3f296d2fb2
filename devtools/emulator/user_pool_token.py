"""Which token of a user pool a method with a COGNITO_USER_POOLS authorizer accepts.

On AWS, a method without scopes accepts ID tokens, a method with scopes accepts access tokens, and no method
accepts refresh tokens. The emulator accepts all three for every method.

Source: API Gateway developer guide, "Integrate a REST API with an Amazon Cognito user pool" ("With the
COGNITO_USER_POOLS authorizer, if the OAuth Scopes option isn't specified, API Gateway treats the supplied
token as an identity token and verifies the claimed identity against the one from the user pool. Otherwise,
API Gateway treats the supplied token as an access token.").
"""

from collections.abc import Callable
from typing import Any

from ministack.services import apigateway_v1

from devtools.emulator import patch

Json = dict[str, Any]


def install() -> None:
    """Extend the emulator."""
    patch.wrap(apigateway_v1, "_validate_cognito_authorizer", _validate)


async def _validate(
    original: Callable[..., Any], authorizer: Json, method_obj: Json, *args: Any
) -> tuple[Json | None, Any]:
    claims, error = await original(authorizer, method_obj, *args)
    use = "access" if method_obj.get("authorizationScopes") else "id"
    if error is None and claims.get("token_use") != use:
        return None, apigateway_v1._gw_error("UNAUTHORIZED", "Unauthorized")
    return claims, error
