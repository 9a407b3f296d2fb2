"""A fake of SSM Parameter Store, as the functions call it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

_EVENT = "before-call.ssm.GetParameter"


class ParameterStore:
    """The parameters' values by name. Counts the reads, and can fail them."""

    def __init__(self, **values: str) -> None:
        self.values = values
        self.reads = 0
        self.failure: tuple[int, str] | None = None
        """The status and the code of the error of every read."""

    @contextmanager
    def answering(self, client: Any) -> Iterator[None]:
        """Answer the calls of an SSM client until the block ends."""
        client.meta.events.register(_EVENT, self._answer)
        yield
        client.meta.events.unregister(_EVENT, self._answer)

    def _answer(self, params: dict[str, Any], **_: object) -> Any:
        self.reads += 1
        name = json.loads(params["body"])["Name"]
        failure = self.failure or (None if name in self.values else (400, "ParameterNotFound"))
        if failure is None:
            return SimpleNamespace(status_code=200), {"Parameter": {"Name": name, "Value": self.values[name]}}
        status, code = failure
        error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return SimpleNamespace(status_code=status), error
