"""The simulated pipeline: executions of new tickets, the waiting room, and its consumers.

The pauses are those of the product's own code: Pace runs on simulated time.
"""

import random
from collections.abc import Generator
from typing import Any

from simpy import Environment, Event, Store

from benchmarks.simulation.model import Model
from benchmarks.simulation.records import Records, Ticket
from benchmarks.simulation.rules import deferral_delay, model_retries
from benchmarks.simulation.scenario import Scenario, Times
from support.background.pace import Pace

type Process[Result] = Generator[Event, Any, Result]
"""What happens to one ticket, or one part of the pipeline: the events that it waits for."""

_SAMPLE_SECONDS = 10


def simulate(scenario: Scenario, times: Times, seed: int) -> Records:
    """Simulate until the last ticket is finished. The same seed gives the same records."""
    # Pace uses the module's own generator.
    random.seed(seed)
    return _Pipeline(scenario, times).run()


class _Pipeline:
    def __init__(self, scenario: Scenario, times: Times) -> None:
        self._scenario = scenario
        self._times = times
        self._environment = Environment()
        self._model = Model(scenario, self._clock)
        self._waiting_room = Store(self._environment)
        self._records = Records()

    def run(self) -> Records:
        self._environment.process(self._customers())
        self._environment.process(self._samples())
        for _ in range(self._scenario.resume_concurrency):
            self._environment.process(self._consumer())
        # Until nothing happens any more.
        self._environment.run()
        return self._records

    def _clock(self) -> float:
        return float(self._environment.now)

    def _customers(self) -> Process[None]:
        interval = 1 / self._scenario.rate
        for _ in range(self._scenario.tickets):
            self._environment.process(self._new_execution(Ticket(self._clock())))
            wait = interval if self._scenario.is_even else random.expovariate(self._scenario.rate)
            yield self._environment.timeout(wait)

    def _new_execution(self, ticket: Ticket) -> Process[None]:
        self._records.accept()
        if not (yield from self._execution(ticket)):
            yield from self._deferral(ticket)

    def _deferral(self, ticket: Ticket) -> Process[None]:
        self._records.defer(ticket)
        yield self._environment.timeout(deferral_delay())
        yield self._waiting_room.put(ticket)

    def _consumer(self) -> Process[None]:
        """One execution environment of Resume."""
        pauses: list[float] = []
        pace = Pace(clock=self._clock, sleep=pauses.append, uniform=random.uniform)
        while True:
            ticket = yield self._waiting_room.get()
            pace.wait()
            yield self._environment.timeout(pauses.pop())
            if (yield from self._execution(ticket)):
                pace.speed_up()
            else:
                pace.slow_down()
                self._environment.process(self._deferral(ticket))

    def _execution(self, ticket: Ticket) -> Process[bool]:
        """Run the state machine; return whether the ticket was processed, or has to wait."""
        yield self._environment.timeout(self._times.before_model)
        waits = {error: retry.waits() for error, retry in model_retries().items()}
        while error := self._model.error():
            ticket.count(error)
            wait = next(waits[error], None)
            if wait is None:
                return False
            yield self._environment.timeout(wait)
        yield self._environment.timeout(self._times.model + self._times.after_model)
        self._records.finish(ticket, self._clock())
        return True

    def _samples(self) -> Process[None]:
        while len(self._records) < self._scenario.tickets:
            self._records.sample(self._clock())
            yield self._environment.timeout(_SAMPLE_SECONDS)
        self._records.sample(self._clock())
