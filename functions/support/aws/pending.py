"""The pending tickets: those that still owe their processing or their announcement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from support.aws.items import to_item
from support.aws.ticket_items import ConditionFailedError, TicketItems, key, store_errors
from support.domain.ticket import Failure, timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A ticket in the waiting room; `reason` is an error's name, or what put it there."""

    ticket_id: str
    since: datetime
    reason: str


class PendingTickets(TicketItems):
    """The index over `pendingSince`, which holds exactly these tickets, and that over `waitingSince`."""

    def since_before(self, moment: datetime) -> Iterator[str]:
        """The ids of the tickets that owe something since before the moment, read page by page.

        Values that sort after every present time come too: they are not times, and would never be seen.
        """
        items = self._scanned(
            "Pending",
            FilterExpression="pendingSince < :moment OR pendingSince > :future",
            ExpressionAttributeValues=to_item(
                {":moment": timestamp(moment), ":future": timestamp(moment + timedelta(days=2))}
            ),
        )
        return (item["ticketId"]["S"] for item in items)

    def waiting(self) -> Iterator[Waiting]:
        """The tickets in the waiting room, read page by page; not those whose mark nobody can read."""
        for item in self._scanned("Waiting"):
            with suppress(ValueError, KeyError):
                since = datetime.fromisoformat(item["waitingSince"]["S"]).astimezone(UTC)
                yield Waiting(ticket_id=item["ticketId"]["S"], since=since, reason=item["waitingFor"]["S"])

    def _scanned(self, index: str, **options: Any) -> Iterator[dict[str, Any]]:
        arguments = {"TableName": self._name, "IndexName": index, **options}
        while True:
            with store_errors():
                page = self._client.scan(**arguments)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def set_aside(self, ticket_id: str, failure: Failure) -> None:
        """Take an unreadable ticket out of the index, and note why in `setAside`; all else stays as it is."""
        try:
            with store_errors():
                self._client.update_item(
                    TableName=self._name,
                    Key=key(ticket_id),
                    UpdateExpression="SET setAside = :failure REMOVE pendingSince",
                    ConditionExpression="attribute_exists(pendingSince)",
                    ExpressionAttributeValues=to_item({":failure": failure}),
                )
        except ConditionFailedError:
            return
