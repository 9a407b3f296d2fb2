"""The pending tickets: those that still owe their processing or their announcement."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from support.aws.items import to_item
from support.aws.ticket_items import ConditionFailedError, TicketItems, key, store_errors
from support.domain.ticket import Failure, timestamp


class PendingTickets(TicketItems):
    """The index over `pendingSince`, which holds exactly these tickets."""

    def since_before(self, moment: datetime) -> Iterator[str]:
        """The ids of the tickets that owe something since before the moment, read page by page.

        Values that sort after every present time come too: they are not times, and would never be seen.
        """
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": "Pending",
            "FilterExpression": "pendingSince < :moment OR pendingSince > :future",
            "ExpressionAttributeValues": to_item(
                {":moment": timestamp(moment), ":future": timestamp(moment + timedelta(days=2))}
            ),
        }
        while True:
            with store_errors():
                page = self._client.scan(**arguments)
            yield from (item["ticketId"]["S"] for item in page["Items"])
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
