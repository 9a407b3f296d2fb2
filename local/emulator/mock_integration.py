"""MOCK integrations, such as the answers to a browser's preflight requests.

AWS renders the integration response like that of any integration: without a template the body is empty, and
a static header is all that stands between the outer quotes. The emulator answers `{}`, also with status
204, and takes every quote off both ends. This module renders it as start_execution does. The request
template may set `statusCode` only, and the response template sees nothing of the request.
"""

import re
from collections.abc import Callable
from typing import Any

from ministack.services import apigateway_v1

from local.emulator import guard
from local.emulator.mapping_template import Parameters
from local.emulator.start_execution import Request, Response, integration_response

_STATUS = re.compile(r'"statusCode"\s*:\s*(\d{3})')
_NO_REQUEST = Request("", Parameters(), {})


def install() -> None:
    """Extend the emulator."""
    guard.wrap(apigateway_v1, "_invoke_mock_v1", _invoke)


def _invoke(original: Callable[..., Response], integration: dict[str, Any]) -> Response:
    if not integration.get("integrationResponses"):
        return original(integration)
    templates: dict[str, str] = integration.get("requestTemplates") or {}
    status = _STATUS.search(templates.get("application/json", ""))
    return integration_response(integration, int(status[1]) if status else 200, "", _NO_REQUEST)
