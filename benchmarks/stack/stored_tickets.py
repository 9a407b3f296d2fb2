"""The tickets table, filled to a given number of tickets without sending them."""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from random import Random
from typing import Any

from local.stack import Stack
from support.aws.ticket_items import as_item, as_ticket, key
from support.domain.ticket import Ticket, timestamp
from support.domain.ticket_types import Status

_STATUSES = {Status.PROCESSED: 60, Status.IN_PROGRESS: 10, Status.COMPLETED: 30}
_CUSTOMERS = 200
_PERIOD = timedelta(days=30)
_TEMPLATES = 25
# What DynamoDB takes at once.
_BATCH = 25


class StoredTickets:
    """Adds copies of processed tickets, with other ids, customers, times and statuses."""

    def __init__(self, stack: Stack) -> None:
        self._client = stack.client("dynamodb")
        self._table = stack.tickets_table
        self._templates: list[Ticket] = []
        self._random = Random("stored tickets")  # noqa: S311 (no secret)

    def set_number(self, number: int) -> None:
        """Add or delete tickets until so many are stored. The first call needs processed ones to copy."""
        items = list(self._items())
        self._templates = self._templates or [as_ticket(item) for item in items[:_TEMPLATES]]
        self._write({"DeleteRequest": {"Key": key(item["ticketId"]["S"])}} for item in items[number:])
        self._write({"PutRequest": {"Item": as_item(self._copy())}} for _ in range(number - len(items)))

    def any_id(self) -> str:
        """The id of a stored ticket."""
        return str(next(self._items())["ticketId"]["S"])

    def _copy(self) -> Ticket:
        random = self._random
        (status,) = random.choices(list(_STATUSES), list(_STATUSES.values()))
        return replace(
            random.choice(self._templates),
            ticket_id=str(uuid.UUID(int=random.getrandbits(128), version=4)),
            customer_id=f"customer-{random.randrange(_CUSTOMERS)}",
            created_at=timestamp(datetime.now(UTC) - _PERIOD * random.random()),
            status=status,
        )

    def _items(self) -> Iterator[dict[str, Any]]:
        for page in self._client.get_paginator("scan").paginate(TableName=self._table):
            yield from page["Items"]

    def _write(self, requests: Iterable[dict[str, Any]]) -> None:
        for batch in batched(requests, _BATCH, strict=False):
            unprocessed = {self._table: list(batch)}
            while unprocessed:
                unprocessed = self._client.batch_write_item(RequestItems=unprocessed)["UnprocessedItems"]
