"""Asks a model about every ticket: from the cache, or with as many calls as the pipeline would make."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from statistics import fmean

from evals.budget import Budget, CapReached
from evals.cache import ANSWERED, Answer, AnswerCache
from evals.errors import ModelUnusable
from evals.example import Example
from evals.models import Model, Usage
from support.domain import prompt
from support.domain.errors import (
    ModelOutputInvalid,
    ModelRefused,
    ModelRejected,
    ModelThrottled,
    ModelUnavailable,
)

# As the state machine: the first call and its retries of ModelOutputInvalid.
CALLS_FOR_A_VALID_ANSWER = 3
# Throttled and unavailable calls say nothing about the answers: they are repeated for longer.
_PATIENCE = 6
_CHARACTERS_PER_TOKEN = 4
_OUTPUT_TOKENS = 150
_SECONDS_PER_CALL, _SECONDS_PER_STAND_IN_CALL = 1.5, 0.1
_PROGRESS_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run will need, before it starts."""

    tickets: int
    cached: int
    input_tokens: int
    output_tokens: int
    usd: float
    seconds: float

    def __str__(self) -> str:
        to_ask = self.tickets - self.cached
        if not to_ask:
            return f"{self.tickets} tickets, all answered in the cache."
        return (
            f"{self.tickets} tickets, {self.cached} of them in the cache; {to_ask} to ask: about "
            f"{self.input_tokens:,} input and {self.output_tokens:,} output tokens, {self.usd:.4f} USD, "
            f"{_duration(self.seconds)}."
        )


@dataclass(slots=True)
class Outcome:
    """The answers by ticket id, and how many tickets have none, by reason."""

    answers: dict[str, Answer] = field(default_factory=dict)
    unanswered: Counter[str] = field(default_factory=Counter)


class Runner:
    """Asks one model. `report` gets lines of progress."""

    def __init__(
        self,
        model: Model,
        cache: AnswerCache,
        budget: Budget,
        *,
        concurrency: int,
        report: Callable[[str], None],
    ) -> None:
        self._model = model
        self._cache = cache
        self._budget = budget
        self._concurrency = concurrency
        self._report = report
        self._is_stopped = threading.Event()
        self._rejection = ""

    def estimate(self, examples: Sequence[Example]) -> Estimate:
        """What `run` will need for these tickets."""
        cached = [answer for example in examples if (answer := self._cache.get(example))]
        to_ask = [example for example in examples if self._cache.get(example) is None]
        fixed = len(prompt.INSTRUCTIONS) + len(str(self._model.tool_schema))
        tokens = sum(fixed + len(example.text) for example in to_ask) // _CHARACTERS_PER_TOKEN
        usage = Usage(tokens, _OUTPUT_TOKENS * len(to_ask))
        expected = _SECONDS_PER_STAND_IN_CALL if self._model.is_stand_in else _SECONDS_PER_CALL
        each = fmean(answer.latency_ms for answer in cached) / 1000 if cached else expected
        return Estimate(
            tickets=len(examples),
            cached=len(cached),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            usd=self._model.cost(usage),
            seconds=each * len(to_ask) / self._concurrency,
        )

    def run(self, examples: Sequence[Example]) -> Outcome:
        """Ask about every ticket, or until the cap is reached.

        Raises:
            ModelUnusable: the model rejected the very first call.
        """
        outcome = Outcome()
        to_ask = []
        for example in examples:
            if answer := self._cache.get(example):
                outcome.answers[example.id] = answer
            else:
                to_ask.append(example)
        # The first one alone: what rejects it, such as a missing permission, would reject all of them.
        self._add(outcome, to_ask[:1], total=len(examples))
        if outcome.unanswered[ModelRejected.__name__]:
            raise ModelUnusable(f"{self._model.name} rejects the call: {self._rejection}")
        self._add(outcome, to_ask[1:], total=len(examples))
        return outcome

    def _add(self, outcome: Outcome, examples: Sequence[Example], *, total: int) -> None:
        progress = _Progress(len(examples))
        with ThreadPoolExecutor(self._concurrency) as pool:
            try:
                for example, result in zip(examples, pool.map(self._ask, examples), strict=True):
                    if isinstance(result, Answer):
                        outcome.answers[example.id] = result
                    else:
                        outcome.unanswered[result] += 1
                    if time_left := progress.count():
                        answered = f"{len(outcome.answers)} of {total} answered"
                        self._report(f"{answered}, {self._budget.spent:.4f} USD, {time_left} left")
            except BaseException:
                self._is_stopped.set()
                raise

    def _ask(self, example: Example) -> Answer | str:
        """The answer, or the reason for having none."""
        block = prompt.ticket_block(example.ticket())
        answer = Answer(calls=0)
        try:
            while answer.calls == 0 or (
                answer.outcome == ModelOutputInvalid.__name__ and answer.calls < CALLS_FOR_A_VALID_ANSWER
            ):
                answer = self._call_patiently(block, answer)
        except CapReached:
            self._is_stopped.set()
            return "spending cap"
        except (ModelThrottled, ModelUnavailable) as error:
            return type(error).__name__
        except ModelRejected as error:
            self._rejection = str(error)
            return ModelRejected.__name__
        self._cache.put(example, answer)
        return answer

    def _call_patiently(self, block: str, before: Answer) -> Answer:
        for failures in range(_PATIENCE - 1):
            try:
                return self._call(block, before)
            except (ModelThrottled, ModelUnavailable):
                self._is_stopped.wait(2**failures * random.uniform(0.5, 1))  # noqa: S311 - jitter
        return self._call(block, before)

    def _call(self, block: str, before: Answer) -> Answer:
        """What is known after one more call."""
        if self._is_stopped.is_set():
            raise CapReached
        worst_case = self._model.worst_case(block)
        self._budget.reserve(worst_case)
        usage, may_be_billed = Usage(), False
        try:
            answer = self._model.ask(block, usage)
        except (ModelOutputInvalid, ModelRefused) as error:
            return _after(before, usage, outcome=type(error).__name__)
        except ModelUnavailable:
            may_be_billed = True  # such as a call that timed out
            raise
        finally:
            self._budget.settle(worst_case, worst_case if may_be_billed else self._model.cost(usage))
        return replace(
            _after(before, usage, outcome=ANSWERED),
            document=dict(answer.document),
            stopped_early=answer.stopped_early,
        )


class _Progress:
    """Estimates the time left, at most every few seconds."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._started = self._reported = time.monotonic()

    def count(self) -> str:
        """Count one; the time left if it is time to show it, else an empty text."""
        self._done += 1
        now = time.monotonic()
        if now - self._reported < _PROGRESS_SECONDS:
            return ""
        self._reported = now
        return _duration((self._total - self._done) * (now - self._started) / self._done)


def _after(before: Answer, usage: Usage, *, outcome: str) -> Answer:
    return Answer(
        outcome=outcome,
        calls=before.calls + 1,
        input_tokens=before.input_tokens + usage.input_tokens,
        output_tokens=before.output_tokens + usage.output_tokens,
        latency_ms=usage.latency_ms,
    )


def _duration(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} min"
