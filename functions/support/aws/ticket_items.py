"""The items of the tickets table: each is read whole, and written only on a condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from support.aws.errors import translated
from support.aws.items import to_document, to_item
from support.domain.errors import StoreRejected, StoreUnavailable, TicketNotFound
from support.domain.ticket import Ticket

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class TicketItems:
    """Tickets in DynamoDB, by ticket id.

    Every method raises StoreUnavailable when a repeat may succeed, StoreRejected when it cannot, and
    InvalidTicket when the item that it reads is not a ticket.
    """

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, ticket_id: str) -> Ticket | None:
        """The ticket as last written, or None."""
        with store_errors():
            answer = self._client.get_item(TableName=self._name, Key=key(ticket_id), ConsistentRead=True)
        return as_ticket(answer["Item"]) if "Item" in answer else None

    def _update(
        self,
        ticket_id: str,
        changes: str,
        *,
        condition: str,
        values: Mapping[str, Any],
        is_new_version: bool = False,
    ) -> Ticket:
        """Write a ticket; `changes` are an update expression's, without its first SET.

        `is_new_version` says that agents who read the ticket before have to read it again to change it.
        """
        with store_errors():
            answer = self._client.update_item(
                TableName=self._name,
                Key=key(ticket_id),
                UpdateExpression=f"SET version = version + :versions, {changes}",
                ConditionExpression=condition,
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item({**values, ":versions": int(is_new_version)}),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        return as_ticket(answer["Attributes"])


class ConditionFailedError(Exception):
    """A write's condition did not hold; `item` is what is stored instead, if anything."""

    def __init__(self, item: Mapping[str, Any] | None) -> None:
        super().__init__()
        self.item = item

    def ticket(self) -> Ticket:
        """The ticket that is stored instead. Raises TicketNotFound."""
        if not self.item:
            raise TicketNotFound("The ticket is not in the table; was it deleted meanwhile?")
        return as_ticket(self.item)


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise DynamoDB's errors as the pipeline's, and ConditionFailedError when a condition did not hold."""
    with translated(unavailable=StoreUnavailable, rejected=StoreRejected):
        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            raise ConditionFailedError(cast(Any, error.response).get("Item")) from error


def key(ticket_id: str) -> dict[str, Any]:
    """The primary key of a ticket's item."""
    return {"ticketId": {"S": ticket_id}}


def as_ticket(item: Mapping[str, Any]) -> Ticket:
    """The ticket in an item. Raises InvalidTicket."""
    return Ticket.from_document(to_document(item))
