"""The REST API of a request, for the extensions that record requests as API Gateway does."""

from collections.abc import Iterator
from contextlib import contextmanager

from ministack import app
from ministack.core.responses import request_scope
from ministack.services import apigateway_v1

# The API's id, the name of the stage, and the path below it.
type Address = tuple[str, str, str]


@contextmanager
def api_scope(host: str, path: str) -> Iterator[Address | None]:
    """Enter the account and region of the requested API; None if there is no such API."""
    address = app._parse_execute_api_url(host, path)
    scope = address and apigateway_v1.find_api_scope(address[0])
    if not scope:
        yield None
        return
    with request_scope(*scope):
        yield address
