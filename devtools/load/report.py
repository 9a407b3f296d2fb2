"""The report of a run: what was counted, and whether the promise was kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The counts of a run, the rules that it broke, and the tickets that broke them."""

    counts: Mapping[str, Any]
    broken: Sequence[str]
    """One phrase for each broken rule."""
    offending: Mapping[str, Sequence[str]]
    """The ids of the tickets that broke a rule, by the name of the count."""

    @property
    def promise_kept(self) -> bool:
        """Whether the run broke no rule."""
        return not self.broken

    def to_document(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            **self.counts,
            "kept": self.promise_kept,
            "broken": list(self.broken),
            "offending": {name: list(ids) for name, ids in self.offending.items()},
        }

    def to_text(self) -> str:
        """The counts and the result, as lines."""
        lines = [f"{name:>25}  {value}" for name, value in self.counts.items()]
        result = "kept." if self.promise_kept else f"broken: {'; '.join(self.broken)}."
        return "\n".join([*lines, f"The promise was {result}"])


def number_of_tickets(number: int) -> str:
    """`1 ticket`, `2 tickets`."""
    return f"{number} {'ticket' if number == 1 else 'tickets'}"
