"""The keys of the indexes by time and by status, spread over several partitions.

DynamoDB writes at most 1,000 units a second to one partition of an index, and an index that cannot keep up
throttles the writes to the table. Nearly all new tickets have the same status and the latest time, so a key
without a shard would limit the whole pipeline to the speed of one partition.

Source: Amazon DynamoDB developer guide, "Using write sharding to distribute workloads evenly".
"""

from zlib import crc32

from support.domain.ticket_types import Status

# A ticket needs two write units in the partition of RECEIVED: four shards take 2,000 tickets a second.
# Increase the number only: tickets that were stored with more shards would no longer be found.
_SHARDS = 4


def shards() -> list[str]:
    """All keys of the index by time."""
    return [str(number) for number in range(_SHARDS)]


def shard(ticket_id: str) -> str:
    """A ticket's key in the index by time, from `0` to `3`; it never changes."""
    return str(crc32(ticket_id.encode()) % _SHARDS)


def status_shards(status: Status) -> list[str]:
    """All keys of a status in the index by status."""
    return [_status_shard(status, number) for number in shards()]


def status_shard(status: Status, ticket_id: str) -> str:
    """A ticket's key in the index by status, e.g. `PROCESSED.2`."""
    return _status_shard(status, shard(ticket_id))


def _status_shard(status: Status, number: str) -> str:
    return f"{status}.{number}"
