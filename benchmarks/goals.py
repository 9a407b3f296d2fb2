"""The goals that the figures in results.json are compared with. No test asserts them."""

from dataclasses import dataclass

_TASKS = ("store", "classify", "update", "notify")
_OTHER_FUNCTIONS = ("resume", "sweep", "mail", "digest", "ticketsApi")


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit that a figure must not exceed, or with `at_least` must reach."""

    limit: float
    at_least: bool = False

    def is_met_by(self, figure: float) -> bool:
        """Whether a figure is within the limit."""
        return figure >= self.limit if self.at_least else figure <= self.limit

    def __str__(self) -> str:
        """`≥ 70`, `≤ 1.8`."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


GOALS = {
    # Of a similar pipeline with half the functions, on the same machine with the same client.
    "load.ticketsPerSecond": Goal(70, at_least=True),
    "load.announcedP95s": Goal(1.8),
    "load.ratioToNoop": Goal(0.7, at_least=True),
    "single.announcedMs": Goal(110),
    "cold.firstTicketMs": Goal(1_200),
    "get.ticketMs": Goal(15),
    "list.ms100": Goal(40),
    "list.ms5000over100": Goal(1.3),
    "growth.ticketMs5000over100": Goal(1.05),
    "console.executions1000Ms": Goal(300),
    "console.executionGraphMs": Goal(500),
    "coldStart.store.ratio": Goal(1.0),
    "coldStart.update.ratio": Goal(1.0),
    "coldStart.notify.ratio": Goal(1.0),
    "coldStart.classify.ratio": Goal(1.15),
    **{f"coldStart.{function}.ratio": Goal(1.3) for function in _OTHER_FUNCTIONS},
    **{f"warm.{task}.cpuMs": Goal(1) for task in _TASKS},
    "tokens.input": Goal(500),
    "tokens.output": Goal(200),
    "artifact.unzippedMb": Goal(5),
    "cost.perMillionUsd": Goal(110),
    "cost.withoutModelUsd": Goal(35),
}
"""The goals by the key of the figure."""
