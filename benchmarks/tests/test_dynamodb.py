import pytest

from benchmarks.cost.dynamodb import item_bytes, read_units, write_units

BY_STATUS = {
    "IndexName": "ByStatus",
    "KeySchema": [
        {"AttributeName": "status", "KeyType": "HASH"},
        {"AttributeName": "createdAt", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["urgency"]},
}
PENDING = {
    "IndexName": "Pending",
    "KeySchema": [{"AttributeName": "pendingSince", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "KEYS_ONLY"},
}
TICKET = {
    "ticketId": {"S": "1"},
    "status": {"S": "RECEIVED"},
    "createdAt": {"S": "2026-01-01"},
    "content": {"S": "text"},
}


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"name": {"S": "grün"}}, 4 + 5),
        ({"name": {"N": "1234.50"}}, 4 + 4),
        ({"name": {"N": "-120"}}, 4 + 3),
        ({"name": {"BOOL": True}}, 4 + 1),
        ({"name": {"L": [{"S": "a"}, {"S": "b"}]}}, 4 + 3 + 2 * (1 + 1)),
        ({"name": {"M": {"key": {"S": "value"}}}}, 4 + 3 + 1 + 3 + 5),
    ],
)
def test_the_size_of_an_item_is_that_of_its_names_and_values(item: dict[str, object], size: int) -> None:
    assert item_bytes(item) == size


def test_a_consistent_read_costs_a_unit_for_each_4_kb() -> None:
    assert [read_units(size) for size in (1, 4096, 4097)] == [1, 1, 2]


def test_a_write_costs_a_unit_for_each_kb_of_the_larger_version() -> None:
    long = TICKET | {"content": {"S": "x" * 1_900}}

    assert write_units(None, TICKET, []) == 1
    assert write_units(long, TICKET, []) == 2


def test_a_new_item_is_written_to_every_index_that_has_its_keys() -> None:
    assert write_units(None, TICKET, [BY_STATUS, PENDING]) == 2
    assert write_units(None, TICKET | {"pendingSince": {"S": "2026"}}, [BY_STATUS, PENDING]) == 3


def test_an_index_that_does_not_contain_the_change_costs_nothing() -> None:
    assert write_units(TICKET, TICKET | {"content": {"S": "other"}}, [BY_STATUS, PENDING]) == 1


def test_a_changed_value_in_an_index_costs_one_write_and_a_changed_key_two() -> None:
    urgent = TICKET | {"urgency": {"S": "HIGH"}}

    assert write_units(TICKET, urgent, [BY_STATUS]) == 1 + 1
    assert write_units(TICKET, TICKET | {"status": {"S": "PROCESSED"}}, [BY_STATUS]) == 1 + 2


def test_leaving_a_sparse_index_costs_one_write() -> None:
    assert write_units(TICKET | {"pendingSince": {"S": "2026"}}, TICKET, [PENDING]) == 1 + 1
