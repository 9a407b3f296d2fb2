"""MOCK integrations, such as those that respond to a browser's preflight requests.

AWS renders the integration response like that of any integration: without a template the body is empty, and
the value of a static header is everything between the outer quotes. The emulator returns `{}`, even with
status 204, and strips all quotes from both ends. This module renders it as step_functions_integration does.
The request template may set only `statusCode`, and the response template cannot use values of the request.

The status is in the request template for the request's content type, application/json if it has none. On AWS,
a request of another content type gets 415 or, with WHEN_NO_MATCH, 500, because the status would then have to
be in the request body. The emulator always uses the template for application/json, and 200 if that sets no
status.

Source: API Gateway developer guide, "Mock integrations for REST APIs" and "Integration passthrough
behaviors".
"""

import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from ministack.services import apigateway_v1

from devtools.emulator import patch
from devtools.emulator.mapping_template import Parameters
from devtools.emulator.step_functions_integration import (
    Request,
    Response,
    integration_response,
    request_template,
)

_STATUS = re.compile(r'"statusCode"\s*:\s*(\d{3})')
_NO_REQUEST = Request("", Parameters(), {})

_status: ContextVar[int] = ContextVar("status")


def install() -> None:
    """Extend the emulator."""
    patch.wrap(apigateway_v1, "_check_passthrough_behavior", _check_passthrough_behavior)
    patch.wrap(apigateway_v1, "_invoke_mock_v1", _invoke)


def _check_passthrough_behavior(
    original: Callable[..., Any], integration: dict[str, Any], headers: Mapping[str, str]
) -> Any:
    if integration["type"] != "MOCK":
        return original(integration, headers)
    template = request_template(integration, headers)
    if template is None and integration["passthroughBehavior"] != "WHEN_NO_MATCH":
        return apigateway_v1._gw_error("UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type")
    status = _STATUS.search(template or "")
    if status is None:
        return apigateway_v1._gw_error("API_CONFIGURATION_ERROR", "Internal server error")
    _status.set(int(status[1]))
    return None


def _invoke(_original: Callable[..., Response], integration: dict[str, Any]) -> Response:
    return integration_response(integration, _status.get(), "", _NO_REQUEST)
