"""`make run`: the whole pipeline on this machine, until Ctrl-C."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from local.console import echo
from local.emulator import Emulator
from local.log_tail import LogTail
from local.processes import ProcessGroup
from local.settings import Settings
from local.stack import Stack
from local.start import process_group, start


class _StopRequested(BaseException):
    """A signal asked the stack to stop; not an error."""


def run(settings: Settings) -> None:
    """Start the stack, print the events of all tickets, and stop the stack on SIGINT or SIGTERM.

    Raises:
        StackError: a part could not be started, or has exited.
    """
    with process_group(settings) as group:
        try:
            with _stop_signals():
                stack = start(settings, group, Emulator.with_random_key(settings.endpoint_url))
                log_tail = LogTail(settings.folder / "functions.log")
                echo(_welcome(settings, stack))
                _print_events(log_tail, group)
        except _StopRequested:
            echo("Stopping …")


@contextmanager
def _stop_signals() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _StopRequested

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    yield


def _print_events(log_tail: LogTail, group: ProcessGroup) -> None:
    """Print new events until a signal or the exit of a process ends it."""
    while True:
        for event in log_tail.new_events():
            echo(event)
        group.check()
        time.sleep(0.2)


def _welcome(settings: Settings, stack: Stack) -> str:
    folder = _short(settings.folder)
    url = settings.web_url
    return f"""
The support pipeline is running.

  Console       {url}   (sign in with one click; health: {url}/healthz)
  API docs      {url}/docs
  AWS emulator  {stack.endpoint_url}
  Model         {stack.model_url}
  All details   {folder}/stack.json

Send a ticket:

  curl -s {url}/support-request \\
    -H "Authorization: Bearer $(cat {folder}/token)" \\
    -H "Content-Type: application/json" \\
    -d '{{"subject": "Double charge", "content": "I was charged twice this month. Please refund one."}}'

Read it, with the ticketId from the response:

  curl -s {url}/tickets/TICKET_ID -H "Authorization: Bearer $(cat {folder}/token)"

The tokens of an agent and an admin are in {folder}/agent-token and {folder}/admin-token.
Send a ticket as a service, which signs its requests and names the customer:

  curl -s -K {folder}/service.curl {url}/service/support-request \\
    -d '{{"customerId": "customer-4711", "content": "My parcel has not arrived."}}'

Press Ctrl-C to stop everything. Events of all tickets:
"""


def _short(folder: Path) -> str:
    """The folder's path, relative to the working directory where possible."""
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
