"""The context of the checks: the stack, the API, the temporary resources, and the tickets sent so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from ops.stack import DeployedStack, Resource, find_physical_id
from ops.target import Target
from ops.verify.api_client import ApiClient
from ops.verify.check_result import CheckError
from ops.verify.cleanup import Cleanup
from ops.verify.customer import TemporaryCustomer
from ops.verify.notification_queue import NotificationQueue

_POLL_SECONDS = 0.5


class Deadline:
    """One deadline for all waits. After it, every condition is checked once."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def extend_to(self, seconds: float) -> None:
        """Make sure that at least so many seconds are left."""
        self._ends_at = max(self._ends_at, time.monotonic() + seconds)

    def wait_for[T](self, condition: Callable[[], T]) -> T:
        """Poll the condition until it is true or the deadline has passed; return its last value."""
        while not (value := condition()) and time.monotonic() < self._ends_at:
            time.sleep(_POLL_SECONDS)
        return value


@dataclass(frozen=True, slots=True)
class SubmittedTicket:
    """A ticket of the check: its id, and the text with which it was submitted."""

    ticket_id: str
    request: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class CheckContext:
    """What the checks of one run share.

    `tickets` were accepted. `unprocessed` are the ids of those that were not processed. `failing` is the
    ticket of the execution that fails on purpose.
    """

    stack: DeployedStack
    target: Target
    resources: list[Resource]
    api: ApiClient
    deadline: Deadline
    run_id: str
    cleanup: Cleanup = field(default_factory=Cleanup)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    tickets: list[SubmittedTicket] = field(default_factory=list)
    unprocessed: set[str] = field(default_factory=set)
    failing: SubmittedTicket | None = None
    _customer: TemporaryCustomer | None = None
    _notifications: NotificationQueue | None = None

    @classmethod
    def from_stack(cls, stack: DeployedStack, run_id: str, deadline: Deadline) -> Self:
        """The context for a stack.

        Raises:
            UsageError: the stack is not a support pipeline.
        """
        return cls(
            stack=stack,
            target=Target.from_stack(stack),
            resources=list(stack.resources()),
            api=ApiClient(stack, run_id),
            deadline=deadline,
            run_id=run_id,
        )

    @property
    def subject_prefix(self) -> str:
        """The beginning of the subject of each ticket."""
        return f"[verify-aws {self.run_id}]"

    def create_customer(self) -> TemporaryCustomer:
        """Create the temporary customer. Raises botocore's errors."""
        self._customer = TemporaryCustomer.create(self.stack, self.run_id, self.cleanup)
        return self._customer

    def create_notification_queue(self) -> None:
        """Create the temporary queue. Raises botocore's errors."""
        self._notifications = NotificationQueue.create(self.stack, self.run_id, self.cleanup)

    @property
    def customer(self) -> TemporaryCustomer:
        """The temporary customer. Raises CheckError: it could not be created."""
        if self._customer is None:
            raise CheckError("There is no temporary customer.")
        return self._customer

    @property
    def notifications(self) -> NotificationQueue:
        """The temporary queue. Raises CheckError: it could not be created."""
        if self._notifications is None:
            raise CheckError("There is no temporary queue.")
        return self._notifications

    def physical_ids(self, resource_type: str) -> list[str]:
        """The physical ids of the stack's resources of a type."""
        return [resource.physical_id for resource in self.resources if resource.type == resource_type]

    def physical_id(self, logical_id: str) -> str:
        """The physical id of a resource. Raises CheckError: the stack does not have the resource."""
        if found := find_physical_id(self.resources, logical_id):
            return found
        raise CheckError(f"The stack has no resource {logical_id}.")
