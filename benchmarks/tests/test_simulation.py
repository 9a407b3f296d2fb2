"""The simulation, at a small scale."""

from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.simulation.pipeline import simulate
from benchmarks.simulation.records import Finished, Records
from benchmarks.simulation.report import backlog_gone_at, by_phase, percentile, to_text
from benchmarks.simulation.rules import model_retries
from benchmarks.simulation.scenario import Scenario, Times, nova_seconds

TIMES = Times(before_model=0.1, model=1, after_model=0.2)
SCENARIO = Scenario(
    rate=2,
    seconds=120,
    is_even=False,
    outage_start=30,
    outage_seconds=60,
    quota=3,
    quota_start=0,
    resume_concurrency=5,
)


def finished(records: Records) -> list[Finished]:
    return list(records)


def test_the_same_seed_gives_the_same_records_and_another_seed_others() -> None:
    first, again, other = (finished(simulate(SCENARIO, TIMES, seed)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(3))
def test_every_ticket_is_finished_exactly_once(seed: int) -> None:
    records = simulate(SCENARIO, TIMES, seed)

    assert records.accepted == len(records) == 240
    assert records.backlog[-1][1] == 0
    arrivals = Counter(ticket.arrived for ticket in records)
    assert len(arrivals) == 240


def test_without_an_outage_and_below_the_quota_no_ticket_waits() -> None:
    records = simulate(replace(SCENARIO, is_even=True, outage_seconds=0), TIMES, 1)

    assert {round(ticket.seconds, 3) for ticket in records} == {1.3}
    assert all(
        ticket == ticket._replace(is_deferred=False, throttled_calls=0, failed_calls=0) for ticket in records
    )


def test_tickets_that_arrive_during_the_outage_wait_until_it_is_over() -> None:
    records = simulate(SCENARIO, TIMES, 1)

    arrived_early = [ticket for ticket in records if 30 <= ticket.arrived < 80]
    assert arrived_early
    for ticket in arrived_early:
        assert ticket.is_deferred
        # A call and its two retries, at least.
        assert ticket.failed_calls >= 3
        assert ticket.arrived + ticket.seconds > SCENARIO.outage_end


def test_the_model_never_answers_more_calls_than_its_quota_allows() -> None:
    overload = replace(SCENARIO, rate=10, outage_seconds=0)

    records = simulate(overload, TIMES, 1)

    ends = [ticket.arrived + ticket.seconds for ticket in records]
    assert len(records) == 1200
    # The bucket holds one second's calls at the start.
    assert max(ends) >= 1200 / 3 - 1
    assert sum(ticket.throttled_calls for ticket in records) > 0


def test_the_phases_contain_every_ticket_once() -> None:
    records = simulate(SCENARIO, TIMES, 1)

    phases = by_phase(records, SCENARIO)

    assert sorted(ticket for phase in phases for ticket in phase) == sorted(records)
    assert all(ticket.arrived < SCENARIO.outage_start for ticket in phases[0])
    assert all(ticket.arrived >= backlog_gone_at(records, SCENARIO) for ticket in phases[3])


def test_the_summary_counts_all_tickets() -> None:
    summary = to_text(simulate(SCENARIO, TIMES, 1), SCENARIO)

    assert "2 tickets a second for 2:00 min; the model is down from 0:30 min to 1:30 min." in summary
    assert "Accepted: 240; processed: 240." in summary


def test_the_retries_are_those_of_the_state_machine() -> None:
    retries = model_retries()

    assert len(list(retries["ModelThrottled"].waits())) == retries["ModelThrottled"].attempts
    assert all(0 <= wait <= 4 for wait in retries["ModelThrottled"].waits())
    assert all(0 <= wait <= 2 for wait in retries["ModelUnavailable"].waits())


def test_a_percentile_is_the_smallest_value_that_is_not_exceeded_by_its_share() -> None:
    assert percentile([1, 2, 3, 4], 0.5) == 2
    assert percentile([1, 2, 3, 4], 0.95) == 4
    assert percentile([7], 0.5) == 7


def test_the_load_of_the_storm_is_even_and_has_its_quota_after_the_outage_only() -> None:
    storm = Scenario.storm({"N": "240", "OUTAGE": "60", "QUOTA": "3"})

    assert (storm.rate, storm.seconds, storm.is_even) == (2, 120, True)
    assert (storm.outage_start, storm.outage_end, storm.quota_start) == (30, 90, 90)
    assert (storm.quota, storm.resume_concurrency) == (3, 5)


def test_the_times_come_from_the_results() -> None:
    document = {"single": {"announcedMs": 350}, "tokens": {"output": 200}}

    times = Times.from_document(document, bench_model_seconds=0.05)

    assert times.before_model == pytest.approx(0.1)
    assert times.model == 0
    assert times.after_model == pytest.approx(0.2)
    assert nova_seconds(document) == pytest.approx(2.2)


def test_a_figure_that_was_not_measured_is_named() -> None:
    with pytest.raises(ValueError, match=r"single\.announcedMs was not measured"):
        Times.from_document({}, bench_model_seconds=0.05)
