"""Header names as the client spelled them.

API Gateway hands header names on as they were sent, and `$input.params()` tells them apart. In ASGI they are
in lower case, so that the spelling has to come beside them.
"""

from typing import Any

import h11
from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

_EXTENSION = "header-names"


class Protocol(H11Protocol):
    """HTTP as uvicorn speaks it, with the spelling of the header names in the scope's extensions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._names: list[bytes] = []
        self._next_event = self.conn.next_event
        self.conn.next_event = self._remember_names  # type: ignore[method-assign]

    def _remember_names(self) -> Any:
        event = self._next_event()
        if isinstance(event, h11.Request):
            self._names = [name for name, _ in event.headers.raw_items()]
        return event

    def handle_events(self) -> None:
        """Take in what arrived; the application does not run before this returns."""
        super().handle_events()
        if self.scope:
            self.scope.setdefault("extensions", {})[_EXTENSION] = {"names": self._names}


def as_sent(request: Request) -> list[tuple[bytes, bytes]]:
    """The headers of a request that a Protocol received."""
    names = request.scope["extensions"][_EXTENSION]["names"]
    return [(name, value) for name, (_, value) in zip(names, request.headers.raw, strict=True)]
