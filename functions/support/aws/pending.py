"""The pending tickets: those whose processing or notification is not finished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from support.aws.serialization import to_item
from support.aws.ticket_items import ConditionFailedError, TicketItems, key, translate_store_errors
from support.domain.ticket import timestamp
from support.domain.ticket_types import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEntry:
    """A ticket in the waiting room; `reason` is an error's name, or what put the ticket there."""

    ticket_id: str
    since: datetime
    reason: str


class PendingTickets(TicketItems):
    """The sparse indexes over `pendingSince` and `waitingSince`."""

    def pending_before(self, moment: datetime) -> Iterator[str]:
        """The ids of the tickets that have been pending since before the moment, read page by page.

        Includes tickets whose `pendingSince` sorts after every current time: it is invalid, and no moment
        would ever include them.
        """
        items = self._scan(
            "Pending",
            FilterExpression="pendingSince < :moment OR pendingSince > :future",
            ExpressionAttributeValues=to_item(
                {":moment": timestamp(moment), ":future": timestamp(moment + timedelta(days=2))}
            ),
        )
        return (item["ticketId"]["S"] for item in items)

    def waiting(self) -> Iterator[WaitingEntry]:
        """The tickets in the waiting room, read page by page, without entries that are invalid."""
        for item in self._scan("Waiting"):
            with suppress(ValueError, KeyError):
                since = datetime.fromisoformat(item["waitingSince"]["S"]).astimezone(UTC)
                yield WaitingEntry(
                    ticket_id=item["ticketId"]["S"], since=since, reason=item["waitingFor"]["S"]
                )

    def _scan(self, index: str, **options: Any) -> Iterator[dict[str, Any]]:
        arguments = {"TableName": self._name, "IndexName": index, **options}
        while True:
            with translate_store_errors():
                page = self._client.scan(**arguments)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def set_aside(self, ticket_id: str, failure: Failure) -> None:
        """Remove an unreadable ticket from the index and store the reason in `setAside`."""
        try:
            with translate_store_errors():
                self._client.update_item(
                    TableName=self._name,
                    Key=key(ticket_id),
                    UpdateExpression="SET setAside = :failure REMOVE pendingSince",
                    ConditionExpression="attribute_exists(pendingSince)",
                    ExpressionAttributeValues=to_item({":failure": failure}),
                )
        except ConditionFailedError:
            return
