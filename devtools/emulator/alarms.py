"""Alarms on metrics.

AWS evaluates an alarm continuously, on the metric with exactly the alarm's dimensions, and treats missing
data points as `TreatMissingData` says. The emulator evaluates an alarm only when a metric is put, combines
the data points of all dimensions, so that an alarm on a dimension that does not exist seems to work, and
keeps an alarm's state when data points are missing. This module evaluates alarms as AWS does, each time they
are described.

Source: Amazon CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data".
"""

import operator
import time
from collections.abc import Callable
from typing import Any

from ministack.services import cloudwatch

from devtools.emulator import patch

Json = dict[str, Any]

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
_MISSING = {"notBreaching": "OK", "breaching": "ALARM", "missing": "INSUFFICIENT_DATA"}


def install() -> None:
    """Extend the emulator."""
    patch.wrap(cloudwatch, "_evaluate_alarm", _evaluate_alarm)
    patch.wrap(cloudwatch, "_describe_alarms", _describe_alarms)


def _describe_alarms(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
    cloudwatch._evaluate_all_alarms()
    return original(*args, **options)


def _evaluate_alarm(original: Callable[[Json], None], alarm: Json) -> None:
    compare = _COMPARISONS.get(alarm.get("ComparisonOperator", ""))
    if not alarm.get("MetricName") or compare is None:  # a metric math or anomaly alarm
        original(alarm)
        return
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    since = time.time() - alarm.get("Period", 60) * alarm.get("EvaluationPeriods", 1)
    recent = [point for point in cloudwatch._metrics.get(key) or [] if point["Timestamp"] >= since]
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
    value = cloudwatch._stat_value(cloudwatch._calc_stats(recent), statistic, recent) if recent else None
    before = alarm["StateValue"]
    if value is None:
        after = _MISSING.get(alarm.get("TreatMissingData", "missing"), before)
    else:
        after = "ALARM" if compare(value, alarm["Threshold"]) else "OK"
    if after != before:
        _change_state(alarm, str(after), f"{statistic} is {value}, the threshold is {alarm['Threshold']}.")


def _change_state(alarm: Json, after: str, reason: str) -> None:
    before, now = alarm["StateValue"], int(time.time())
    alarm.update(StateValue=after, StateReason=reason, StateUpdatedTimestamp=now)
    cloudwatch._record_history(alarm["AlarmName"], before, after, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, after, reason)
    cloudwatch._evaluate_parent_alarms(alarm)
