"""The number and the price of the time series that the functions' metrics can have.

`python -m devtools.metric_series` prints them. CloudWatch bills a time series for the hours in which it has
data.
"""

from collections.abc import Iterable, Sequence

from infra.prices import PRICES
from support.domain import errors, metrics, refusals
from support.domain.analysis_schema import CATEGORIES, URGENCIES
from support.domain.metrics import LANGUAGES, OTHER, UNEXPECTED, Metric


def _leaves(root: type) -> list[str]:
    subclasses: list[type] = root.__subclasses__()
    return [name for subclass in subclasses for name in _leaves(subclass)] if subclasses else [root.__name__]


DIMENSION_VALUES: dict[str, Sequence[str]] = {
    "Step": [
        "Store Ticket",
        "Classify Ticket",
        "Ask Fallback Model",
        "Update Ticket",
        "Notify Support",
        "Record Failure",
        "Record Deferral",
    ],
    "Error": [*_leaves(errors.PipelineError), UNEXPECTED],
    "Urgency": URGENCIES,
    "Category": list(CATEGORIES),
    "Language": [*sorted(LANGUAGES), OTHER],
    "Field": ["urgency", "category"],
    "Reason": _leaves(refusals.Refusal),
    # The name of the stack's mail topic.
    "Topic": ["MailTopic"],
}


def count(of: Iterable[Metric]) -> int:
    """The largest number of time series of these metrics in one stage."""
    return sum(len(DIMENSION_VALUES[name]) if name else 1 for metric in of for name in metric.by)


def price(series: int) -> float:
    """What so many time series cost in a month, in USD, if all have data in every hour."""
    return float(series * PRICES["metrics"]["series_month"])


def main() -> None:
    """Print the number of time series and their price."""
    series = count(value for value in vars(metrics).values() if isinstance(value, Metric))
    print(f"{series} time series, at most {price(series):.2f} USD a month for each stage")


if __name__ == "__main__":
    main()
