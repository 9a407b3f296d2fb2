"""The tickets table, filled to a given number of tickets without sending them."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from local.stack import Stack
from support.domain.ticket import timestamp
from support.domain.ticket_types import Status

_STATUSES = {Status.PROCESSED: 60, Status.IN_PROGRESS: 10, Status.COMPLETED: 30}
_CUSTOMERS = 200
_PERIOD = timedelta(days=30)
_TEMPLATES = 25


class StoredTickets:
    """Adds copies of processed tickets, with other ids, customers, times and statuses."""

    def __init__(self, stack: Stack) -> None:
        session = stack.emulator.session()
        database = session.resource("dynamodb", endpoint_url=stack.endpoint_url)
        self._table = database.Table(stack.tickets_table)
        self._templates: list[dict[str, Any]] = []
        self._random = Random("stored tickets")  # noqa: S311 (no secret)

    def set_number(self, number: int) -> None:
        """Add or delete tickets until so many are stored. The first call needs processed ones to copy."""
        self._templates = self._templates or list(self._scan())[:_TEMPLATES]
        ids = [item["ticketId"] for item in self._scan(ProjectionExpression="ticketId")]
        with self._table.batch_writer() as batch:
            for ticket_id in ids[number:]:
                batch.delete_item(Key={"ticketId": ticket_id})
            for _ in range(number - len(ids)):
                batch.put_item(Item=self._copy())

    def any_id(self) -> str:
        """The id of a stored ticket."""
        return str(next(self._scan(ProjectionExpression="ticketId"))["ticketId"])

    def _copy(self) -> dict[str, Any]:
        random = self._random
        (status,) = random.choices(list(_STATUSES), list(_STATUSES.values()))
        return {
            **random.choice(self._templates),
            "ticketId": str(uuid.UUID(int=random.getrandbits(128), version=4)),
            "customerId": f"customer-{random.randrange(_CUSTOMERS)}",
            "createdAt": timestamp(datetime.now(UTC) - _PERIOD * random.random()),
            "status": status.value,
        }

    def _scan(self, **options: Any) -> Iterator[dict[str, Any]]:
        pages = self._table.meta.client.get_paginator("scan")
        for page in pages.paginate(TableName=self._table.name, **options):
            yield from page["Items"]
