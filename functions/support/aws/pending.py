"""The pending tickets: those that still owe their processing or their announcement."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from support.aws.items import to_item
from support.aws.ticket_items import TicketItems, store_errors
from support.domain.ticket import timestamp


class PendingTickets(TicketItems):
    """The index over `pendingSince`, which holds exactly these tickets."""

    def since_before(self, moment: datetime) -> Iterator[str]:
        """The ids of the tickets that owe something since before the moment, read page by page."""
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": "Pending",
            "FilterExpression": "pendingSince < :moment",
            "ExpressionAttributeValues": to_item({":moment": timestamp(moment)}),
        }
        while True:
            with store_errors():
                page = self._client.scan(**arguments)
            yield from (item["ticketId"]["S"] for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
