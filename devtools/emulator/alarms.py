"""Alarms on metrics and on metric math.

AWS evaluates an alarm continuously, on the metric with exactly the alarm's dimensions, period by period
(`DatapointsToAlarm` of `EvaluationPeriods`), and treats missing data points as `TreatMissingData` says. The
emulator evaluates an alarm only when a metric is put, combines the data points of all dimensions and periods,
so that an alarm on a dimension that does not exist seems to work, and keeps an alarm's state when data points
are missing. It refuses metric math in a template. This module evaluates alarms as AWS does, each time they
are described; a period ends at the time of the evaluation.

ALARM_MINUTE is the number of seconds that a minute lasts in the periods of alarms and the ages of messages,
60 by default. With less, a test need not wait for what on AWS takes minutes or days. The root user can change
it: `POST /_ministack/config` with `{"alarms.minute": 0.5}`.

Source: Amazon CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data" and "Create a
CloudWatch alarm based on a metric math expression".
"""

import json
import operator
import os
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ministack import app
from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

from devtools.emulator import patch
from devtools.emulator.metric_math import Series, evaluate

Json = dict[str, Any]

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
# AWS's limit of metrics in one alarm.
_MAX_METRICS = 10


def install() -> None:
    """Extend the emulator."""
    patch.wrap(cloudwatch, "_evaluate_alarm", _evaluate_alarm)
    patch.wrap(cloudwatch, "_describe_alarms", _describe_alarms)
    patch.wrap(provisioners, "_cw_metric_alarm_record", _alarm_of_template)
    patch.wrap(app, "_handle_admin_config_request", _configure)


# --- Time ---


class _Clock:
    minute = float(os.environ.get("ALARM_MINUTE", "60"))


def real_seconds(seconds: float) -> float:
    """How long so many seconds of a period or of an age last."""
    return seconds / 60 * _Clock.minute


async def _configure(original: Callable[..., Any], path: str, method: str, body: bytes) -> Any:
    response = await original(path, method, body)
    if response:
        _Clock.minute = json.loads(body or b"{}").get("alarms.minute", _Clock.minute)
    return response


# --- Metric math in a template ---


def _alarm_of_template(original: Callable[..., Json], name: str, props: Json) -> Json:
    if not (queries := props.get("Metrics")):
        return original(name, props)
    _check(queries)
    stats = [query["MetricStat"] for query in queries if "MetricStat" in query]
    # The emulator requires a metric; `_points` does not use this one.
    metric = {**stats[0]["Metric"], "Period": stats[0]["Period"]}
    record = original(name, {key: value for key, value in props.items() if key != "Metrics"} | metric)
    return record | {"Metrics": queries, "MetricName": None, "Namespace": None, "Dimensions": []}


def _check(queries: list[Json]) -> None:
    """Raises ValueError for queries that AWS refuses in an alarm."""
    stats = [query["MetricStat"] for query in queries if "MetricStat" in query]
    if len([query for query in queries if query.get("ReturnData", True)]) != 1:
        raise ValueError("Exactly one of an alarm's Metrics must return data.")
    if not 0 < len(stats) <= _MAX_METRICS or len({int(stat["Period"]) for stat in stats}) != 1:
        raise ValueError(f"An alarm's Metrics must be 1 to {_MAX_METRICS} metrics of the same period.")
    _returned(queries, {query["Id"]: {} for query in queries if "MetricStat" in query})


# --- States ---


def _describe_alarms(original: Callable[..., Any], *args: Any, **options: Any) -> Any:
    cloudwatch._evaluate_all_alarms()
    return original(*args, **options)


def _evaluate_alarm(original: Callable[[Json], None], alarm: Json) -> None:
    if alarm.get("ComparisonOperator") not in _COMPARISONS:  # an anomaly alarm
        original(alarm)
        return
    points = _points(alarm)
    values = [points[age] for age in sorted(points)]
    before, after = alarm["StateValue"], _state(alarm, values)
    if after != before:
        _change_state(alarm, after, f"The values are {values}, the threshold is {alarm['Threshold']}.")


def _state(alarm: Json, values: list[float]) -> str:
    treatment = alarm.get("TreatMissingData") or "missing"
    if not values and treatment in ("missing", "ignore"):
        return "INSUFFICIENT_DATA" if treatment == "missing" else str(alarm["StateValue"])
    periods = alarm.get("EvaluationPeriods", 1)
    compare = _COMPARISONS[alarm["ComparisonOperator"]]
    breaching = sum(compare(value, alarm["Threshold"]) for value in values)
    if treatment == "breaching":
        breaching += periods - len(values)
    return "ALARM" if breaching >= (alarm.get("DatapointsToAlarm") or periods) else "OK"


def _points(alarm: Json) -> Series:
    """The alarm's data points by age in periods: 0 for the latest period."""
    periods = alarm.get("EvaluationPeriods", 1)
    queries = alarm.get("Metrics")
    if not queries:
        statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
        return _series(alarm, statistic, alarm.get("Period", 60), periods)
    return _returned(
        queries,
        {
            query["Id"]: _series(stat["Metric"], stat["Stat"], int(stat["Period"]), periods)
            for query in queries
            if (stat := query.get("MetricStat"))
        },
    )


def _series(metric: Json, statistic: str, period: int, periods: int) -> Series:
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])}
    key = (metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(dimensions))
    now, seconds, by_age = time.time(), real_seconds(period), defaultdict(list)
    for point in cloudwatch._metrics.get(key) or []:
        by_age[int((now - point["Timestamp"]) // seconds)].append(point)
    return {
        age: cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)
        for age, points in by_age.items()
        if 0 <= age < periods
    }


def _returned(queries: list[Json], series: dict[str, Series]) -> Series:
    """The time series of the query that returns data; an expression uses only what stands before it."""
    for query in queries:
        if "Expression" in query:
            series[query["Id"]] = evaluate(query["Expression"], series)
        if query.get("ReturnData", True):
            returned = series[query["Id"]]
    return returned


def _change_state(alarm: Json, after: str, reason: str) -> None:
    before, now = alarm["StateValue"], int(time.time())
    alarm.update(StateValue=after, StateReason=reason, StateUpdatedTimestamp=now)
    cloudwatch._record_history(alarm["AlarmName"], before, after, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, after, reason)
    cloudwatch._evaluate_parent_alarms(alarm)
