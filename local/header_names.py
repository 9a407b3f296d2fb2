"""Header names in their original spelling.

API Gateway passes header names on as the client spelled them, and `$input.params()` is case-sensitive. ASGI
has them in lower case, so this protocol passes the original names beside them.
"""

from typing import Any

import h11
from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

_EXTENSION = "header-names"


class HeaderNameProtocol(H11Protocol):
    """uvicorn's HTTP protocol, with the original header names in the scope's extensions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._names: list[bytes] = []
        self._next_event = self.conn.next_event
        self.conn.next_event = self._record_names  # type: ignore[method-assign]

    def _record_names(self) -> Any:
        event = self._next_event()
        if isinstance(event, h11.Request):
            self._names = [name for name, _ in event.headers.raw_items()]
        return event

    def handle_events(self) -> None:
        """Handle the received data; the application does not run before this returns."""
        super().handle_events()
        if self.scope:
            self.scope.setdefault("extensions", {})[_EXTENSION] = {"names": self._names}


def original_headers(request: Request) -> list[tuple[bytes, bytes]]:
    """The headers of a request that a HeaderNameProtocol received, with their original names."""
    names = request.scope["extensions"][_EXTENSION]["names"]
    return [(name, value) for name, (_, value) in zip(names, request.headers.raw, strict=True)]
