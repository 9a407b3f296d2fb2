"""Write log events into a log group of the emulator, for the extensions that log as an AWS service does."""

import json

from ministack.services import cloudwatch_logs


def put_log_event(group_arn: str, stream: str, timestamp: int, message: str) -> None:
    """Append an event to a stream, which is created if it does not exist.

    `group_arn` is `arn:aws:logs:{region}:{account}:log-group:{name}`, with or without `:*` at the end, and
    `timestamp` is in milliseconds. Raises RuntimeError if the group does not exist.
    """
    target = {"logGroupName": group_arn.split(":")[6], "logStreamName": stream}
    cloudwatch_logs._create_log_stream(target)  # has no effect on an existing stream
    # Half of a surrogate pair cannot be encoded in UTF-8.
    event = {"timestamp": timestamp, "message": message.encode(errors="replace").decode()}
    status, _headers, body = cloudwatch_logs._put_log_events({**target, "logEvents": [event]})
    if status >= 400:
        raise RuntimeError(json.loads(body)["message"])
