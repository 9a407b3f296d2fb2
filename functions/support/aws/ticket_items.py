"""The items of the tickets table: reads whole tickets and writes them conditionally."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from support.aws.error_translation import translate_errors
from support.aws.index_keys import shard, status_shard
from support.aws.serialization import to_document, to_item
from support.domain.errors import StoreRejected, StoreUnavailable, TicketNotFound
from support.domain.ticket import Ticket
from support.domain.ticket_types import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Sets the values of `new_status`.
SET_STATUS = "#status = :status, statusShard = :statusShard"


class TicketItems:
    """Tickets in DynamoDB, by ticket id.

    Every method raises StoreUnavailable when a retry may succeed, StoreRejected when it cannot, and
    InvalidTicket when the item is not a valid ticket.
    """

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, ticket_id: str) -> Ticket | None:
        """The current ticket (a consistent read), or None."""
        with translate_store_errors():
            response = self._client.get_item(TableName=self._name, Key=key(ticket_id), ConsistentRead=True)
        return as_ticket(response["Item"]) if "Item" in response else None

    def add(self, ticket: Ticket) -> Ticket | None:
        """Add a new ticket; None when it was added, else the existing ticket with its id."""
        try:
            with translate_store_errors():
                self._client.put_item(
                    TableName=self._name,
                    Item=as_item(ticket),
                    ConditionExpression="attribute_not_exists(ticketId)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except ConditionFailedError as failed:
            return failed.ticket()
        return None

    def _update(
        self,
        ticket_id: str,
        changes: str,
        *,
        condition: str,
        values: Mapping[str, Any],
        is_new_version: bool = False,
    ) -> Ticket:
        """Update a ticket; `changes` is an update expression without the leading SET.

        With `is_new_version`, agents who have read the ticket must read it again before they change it.
        """
        with translate_store_errors():
            response = self._client.update_item(
                TableName=self._name,
                Key=key(ticket_id),
                UpdateExpression=f"SET version = version + :versions, {changes}",
                ConditionExpression=condition,
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item({**values, ":versions": int(is_new_version)}),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        return as_ticket(response["Attributes"])


class ConditionFailedError(Exception):
    """The condition of a write failed; `item` is the stored item, if there is one."""

    def __init__(self, item: Mapping[str, Any] | None) -> None:
        super().__init__()
        self.item = item

    def ticket(self) -> Ticket:
        """The stored ticket. Raises TicketNotFound."""
        if not self.item:
            raise TicketNotFound("The ticket is not in the table; it may have been deleted.")
        return as_ticket(self.item)


@contextmanager
def translate_store_errors() -> Iterator[None]:
    """Translate DynamoDB's errors; raise ConditionFailedError when a condition failed."""
    with translate_errors(unavailable=StoreUnavailable, rejected=StoreRejected):
        try:
            yield
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            raise ConditionFailedError(cast(Any, error.response).get("Item")) from error


def new_status(ticket_id: str, status: Status) -> dict[str, str]:
    """The values of SET_STATUS."""
    return {":status": status, ":statusShard": status_shard(status, ticket_id)}


def key(ticket_id: str) -> dict[str, Any]:
    """The primary key of a ticket's item."""
    return {"ticketId": {"S": ticket_id}}


def as_item(ticket: Ticket) -> dict[str, Any]:
    """The item of a ticket: its document, and the attributes that only the indexes need."""
    document = ticket.to_document()
    document["shard"] = shard(ticket.ticket_id)
    document["statusShard"] = status_shard(ticket.status, ticket.ticket_id)
    if ticket.analysis:
        document["needsReview"] = ticket.analysis["needsReview"]
    return to_item(document)


def as_ticket(item: Mapping[str, Any]) -> Ticket:
    """The ticket in an item. Raises InvalidTicket."""
    return Ticket.from_document(to_document(item))
