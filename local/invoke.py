"""`make invoke`: run one task of the local stack with an event from events/."""

import json
import sys
from pathlib import Path

from local.deploy import PROJECT
from local.settings import StackError
from local.state import Stack

_EVENTS = PROJECT / "events"
_TASKS = ("store", "classify", "update", "notify")


def invoke(stack: Stack, task: str, event: str) -> int:
    """Invoke the task's function, print what it answers; return the exit code: 1 when the task failed.

    Raises:
        StackError: there is no such task or event.
    """
    answer = stack.invoke(task, event_file(task, event).read_bytes())
    result = json.loads(answer["Payload"].read())
    sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    return 1 if "FunctionError" in answer else 0


def event_file(task: str, event: str) -> Path:
    """The file of one of a task's events.

    Raises:
        StackError: there is no such task or event.
    """
    if task not in _TASKS:
        raise StackError(f"TASK={task or '…'} is no task: choose one of {', '.join(_TASKS)}.")
    path = _EVENTS / task / f"{event}.json"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (_EVENTS / task).glob("*.json")))
        raise StackError(f"EVENT={event or '…'} is no event of {task}: choose one of {known}.")
    return path
