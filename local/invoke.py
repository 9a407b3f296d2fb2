"""`make invoke`: run one task of the local stack with an event from events/."""

import json
import sys
from pathlib import Path

from local.settings import PROJECT, StackError
from local.stack import Stack

_EVENTS = PROJECT / "events"
_TASKS = ("store", "classify", "update", "notify")


def invoke(stack: Stack, task: str, event: str) -> int:
    """Invoke the task's function and print its result; return the exit code: 1 if the function failed.

    Raises:
        StackError: there is no such task or event.
    """
    response = stack.invoke(task, event_file(task, event).read_bytes())
    result = json.loads(response["Payload"].read())
    sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return 1 if "FunctionError" in response else 0


def event_file(task: str, event: str) -> Path:
    """The file that holds an event of a task.

    Raises:
        StackError: there is no such task or event.
    """
    if task not in _TASKS:
        raise StackError(f"TASK must be one of {', '.join(_TASKS)}, not {task!r}.")
    path = _EVENTS / task / f"{event}.json"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in (_EVENTS / task).glob("*.json")))
        raise StackError(f"EVENT must be one of {names} for TASK={task}, not {event!r}.")
    return path
