"""What the checks share: the stack, the API as its callers see it, and what has been sent so far."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import httpx

from ops.report import harmless
from ops.stack import DeployedStack, Resource
from ops.target import Target
from ops.verify.customer import Customer
from ops.verify.finding import CheckError
from ops.verify.inbox import Inbox
from ops.verify.leftovers import Leftovers

_POLL_SECONDS = 0.5


class Patience:
    """One deadline for all waiting: what is looked at after it is looked at once."""

    def __init__(self, seconds: float, pause: Callable[[float], None] = time.sleep) -> None:
        self._until = time.monotonic() + seconds
        self._pause = pause

    def allow(self, seconds: float) -> None:
        """Leave what begins only now at least so much time."""
        self._until = max(self._until, time.monotonic() + seconds)

    def wait_for[T](self, look: Callable[[], T]) -> T:
        """What was seen: the first that is true, or at the deadline what is not."""
        while not (seen := look()) and time.monotonic() < self._until:
            self._pause(_POLL_SECONDS)
        return seen


class Api:
    """The API as its callers see it. Each request carries the run's id as its User-Agent."""

    def __init__(self, stack: DeployedStack, run_id: str) -> None:
        self.answers: list[httpx.Response] = []
        self._http = httpx.Client(
            base_url=stack.api_url,
            headers={"User-Agent": f"support-pipeline-verify/{run_id}"},
            timeout=35,
            # A proxy that leads to AWS does not lead to this machine.
            trust_env=stack.front_door_url is None,
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request, with a JSON body if one is given. Raises httpx.HTTPError: there is no answer."""
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        content = None if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if content else {}
        answer = self._http.request(
            method, path, content=content, headers=authorization | kind | dict(headers or {})
        )
        self.answers.append(answer)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


@dataclass(frozen=True, slots=True)
class Sent:
    """A ticket of the check's: its id, and the text that it was submitted with."""

    ticket_id: str
    request: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Site:
    """One run of the check."""

    stack: DeployedStack
    target: Target
    resources: list[Resource]
    api: Api
    patience: Patience
    run_id: str
    leftovers: Leftovers = field(default_factory=Leftovers)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    tickets: list[Sent] = field(default_factory=list)
    unprocessed: set[str] = field(default_factory=set)
    failing: Sent | None = None
    _customer: Customer | None = None
    _inbox: Inbox | None = None

    @classmethod
    def of(cls, stack: DeployedStack, run_id: str, patience: Patience) -> Self:
        """A run on a stack.

        Raises:
            UsageError: the stack is not a support pipeline.
        """
        return cls(
            stack=stack,
            target=Target.of(stack),
            resources=list(stack.resources()),
            api=Api(stack, run_id),
            patience=patience,
            run_id=run_id,
        )

    @property
    def mark(self) -> str:
        """How the subject of each of the check's tickets begins."""
        return f"[verify-aws {self.run_id}]"

    def create_customer(self) -> Customer:
        """Create the temporary customer. Raises botocore's errors."""
        self._customer = Customer.create(self.stack, self.run_id, self.leftovers)
        return self._customer

    def create_inbox(self) -> Inbox:
        """Create the temporary queue. Raises botocore's errors."""
        self._inbox = Inbox.create(self.stack, self.run_id, self.leftovers)
        return self._inbox

    @property
    def customer(self) -> Customer:
        """The temporary customer. Raises CheckError: it could not be created."""
        if self._customer is None:
            raise CheckError("There is no temporary customer to do it.")
        return self._customer

    @property
    def inbox(self) -> Inbox:
        """The temporary queue. Raises CheckError: it could not be created."""
        if self._inbox is None:
            raise CheckError("There is no temporary queue to see it.")
        return self._inbox

    def ids(self, kind: str) -> list[str]:
        """The physical ids of the stack's resources of a type."""
        return [one.physical_id for one in self.resources if one.kind == kind]

    def id_of(self, logical_id: str) -> str:
        """The physical id of a resource. Raises CheckError: the stack has none of that name."""
        for one in self.resources:
            if one.logical_id == logical_id:
                return one.physical_id
        raise CheckError(f"The stack has no {logical_id}.")


def answered(answer: httpx.Response) -> str:
    """What an answer was, without its text, which might quote a token."""
    try:
        kind = answer.json().get("type")
    except (ValueError, AttributeError):
        kind = None
    return f"{answer.status_code} ({harmless(str(kind))})" if kind else str(answer.status_code)
