from itertools import pairwise

from benchmarks.timeline import Invocation, Span, mean_milliseconds, timeline, to_text


def event(kind: str, milliseconds: int, name: str = "") -> dict[str, object]:
    return {"type": kind, "event_timestamp": str(milliseconds), "details": {"name": name} if name else {}}


EVENTS = [
    event("ExecutionStarted", 1_010),
    event("TaskStateEntered", 1_030, "Classify Ticket"),
    event("TaskStateExited", 1_130, "Classify Ticket"),
    event("ChoiceStateEntered", 1_140, "Has Analysis?"),
    event("ChoiceStateExited", 1_141, "Has Analysis?"),
    event("ExecutionSucceeded", 1_150),
]
CALLS = [("http://localhost:4566/", 1.045, 1.055), ("http://localhost:8100/model/m/converse", 1.06, 1.11)]


def test_a_timeline_has_no_gaps_and_names_what_each_part_went_into() -> None:
    spans = timeline(1.0, EVENTS, [Invocation(1.04, 1.12, CALLS)])

    assert [(span.row, span.kind, round(span.end * 1000)) for span in spans] == [
        ("API", "API", 10),
        ("Start", "orchestration", 30),
        ("Classify Ticket", "waiting for a worker", 40),
        ("Classify Ticket", "function", 45),
        ("Classify Ticket", "AWS calls", 55),
        ("Classify Ticket", "function", 60),
        ("Classify Ticket", "model", 110),
        ("Classify Ticket", "function", 120),
        ("Classify Ticket", "orchestration", 140),
        ("Has Analysis?", "orchestration", 150),
    ]
    assert all(before.end == after.start for before, after in pairwise(spans))


def test_the_means_of_several_tickets_add_up_to_their_mean_duration() -> None:
    timelines = [
        [Span("API", "API", 0, 0.01)],
        [Span("API", "API", 0, 0.02), Span("Start", "model", 0.02, 0.04)],
    ]

    means = mean_milliseconds(timelines)

    assert {row: {kind: round(ms) for kind, ms in kinds.items()} for row, kinds in means.items()} == {
        "API": {"API": 15},
        "Start": {"model": 10},
    }


def test_the_table_has_sums_and_only_the_kinds_that_occur() -> None:
    table = to_text({"API": {"API": 4.04}, "Notify": {"function": 2.0, "orchestration": 1.0}})

    assert table.splitlines() == [
        "ms      API  orchestration  function  total",
        "API     4.0                             4.0",
        "Notify                 1.0       2.0    3.0",
        "total   4.0            1.0       2.0    7.0",
    ]
