"""Log groups have the metric IncomingBytes."""

import time
from datetime import UTC, datetime, timedelta

from devtools.emulator.tests.harness import Emulator, eventually, unique


def incoming_bytes(emulator: Emulator, group: str) -> float:
    now = datetime.now(UTC)
    points = emulator.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Logs",
        MetricName="IncomingBytes",
        Dimensions=[{"Name": "LogGroupName", "Value": group}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


def test_the_bytes_of_written_events_are_counted_for_their_group(emulator: Emulator) -> None:
    logs, group, other = emulator.client("logs"), unique("group"), unique("group")
    for name in (group, other):
        logs.create_log_group(logGroupName=name)
        logs.create_log_stream(logGroupName=name, logStreamName="s")
    now = round(time.time() * 1000)
    events = [{"timestamp": now, "message": "12345"}, {"timestamp": now, "message": "é"}]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    logs.put_log_events(logGroupName=other, logStreamName="s", logEvents=events[:1])

    assert incoming_bytes(emulator, group) == 7


def test_the_lines_of_functions_are_counted_for_the_group_that_they_share(emulator: Emulator) -> None:
    group = unique("group")
    emulator.client("logs").create_log_group(logGroupName=group)
    source = "def handler(event, context):\n    print('x' * 1000)\n"
    function = emulator.create_function(source, LoggingConfig={"LogGroup": group})

    emulator.invoke(function)

    assert eventually(lambda: incoming_bytes(emulator, group) >= 1000)
