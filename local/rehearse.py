"""`make rehearse`: let the model fail, show what happens to the next tickets, and end the fault.

The model stand-in injects the fault into every call of the stack, so that other tickets fail, too.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from local.console import echo
from local.log_tail import LogTail
from local.processes import wait_for
from local.settings import StackError
from local.stack import Stack
from local.users import renew_tokens

# Fault → what the model does with every call.
_FAULTS = {
    "throttle": "throttles every call",
    "error": "answers every call with an internal error",
    "slow": "takes 30 seconds for every call",
    "deny": "denies access to every call",
    "malformed": "breaks the schema in every answer",
}
_CONTENT = "This ticket was sent by `make rehearse`. I was charged twice this month."
_OUTCOME_SECONDS = 180
_RECOVERY_SECONDS = 180
_POLL_SECONDS = 0.3


def rehearse(stack: Stack, folder: Path, fault: str, tickets: int) -> None:
    """Send tickets while the model fails, print their events, end the fault, and say what to do next.

    Raises:
        StackError: the fault is unknown, or a ticket got no result in time.
    """
    if fault not in _FAULTS:
        raise StackError(f"FAULT must be one of {', '.join(_FAULTS)}, not {fault!r}.")
    renew_tokens(stack, folder)
    rehearsal = _Rehearsal(stack, folder)
    with rehearsal.fault(fault):
        ticket_ids = [rehearsal.send_ticket() for _ in range(tickets)]
        found = rehearsal.wait(ticket_ids, _has_outcome, _OUTCOME_SECONDS)
    failed = [ticket for ticket in found if ticket["status"] == "FAILED"]
    if len(failed) < len(found):
        echo("\nA ticket that is deferred waits in the waiting room, and continues automatically:")
        rehearsal.wait(ticket_ids, _is_settled, _RECOVERY_SECONDS)
    echo(f"\n{_next_step(failed)}")


def _has_outcome(ticket: dict[str, Any]) -> bool:
    return "waitingSince" in ticket or _is_settled(ticket)


def _is_settled(ticket: dict[str, Any]) -> bool:
    return ticket["status"] == "FAILED" or "notifiedAt" in ticket


def _next_step(failed: list[dict[str, Any]]) -> str:
    if not failed:
        return "All tickets are processed; nothing is left to do."
    return (
        f"Tickets that failed: {len(failed)}. They need an operator: `make replay DRY_RUN=1` lists what\n"
        "failed and why; `make replay` processes them again."
    )


class _Rehearsal:
    """The requests to a running stack, and the events that its functions log."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._model_url = stack.model_url
        self._log = LogTail(folder / "functions.log")
        self._http = httpx.Client(base_url=stack.web_url, timeout=35, trust_env=False)
        self._customer, self._agent = (
            {"Authorization": f"Bearer {(folder / file).read_text()}"} for file in ("token", "agent-token")
        )

    @contextmanager
    def fault(self, fault: str) -> Iterator[None]:
        """Inject the fault into all calls of the model until the block ends."""
        self._set_faults({fault: 1})
        echo(f"The model {_FAULTS[fault]} from now on. Ctrl-C ends it.")
        try:
            yield
        finally:
            self._set_faults({})
            echo("The fault has ended.")

    def send_ticket(self) -> str:
        """Send a ticket as the demo customer; return its id."""
        response = self._http.post("/support-request", json={"content": _CONTENT}, headers=self._customer)
        if response.status_code != 202:
            raise StackError(f"The ticket was not accepted: {response.status_code} {response.text}")
        return str(response.json()["ticketId"])

    def wait(
        self, ticket_ids: list[str], condition: Callable[[dict[str, Any]], bool], seconds: float
    ) -> list[dict[str, Any]]:
        """Print the tickets' events until each of them meets the condition; return them."""
        found: list[dict[str, Any]] = []

        def all_meet_it() -> bool:
            tickets = [self._read(ticket_id) for ticket_id in ticket_ids]
            self._print_events(ticket_ids)
            found[:] = [ticket for ticket in tickets if ticket and condition(ticket)]
            return len(found) == len(ticket_ids)

        if not wait_for(all_meet_it, seconds, _POLL_SECONDS):
            raise StackError(f"A ticket has no result after {seconds:.0f} s: see `make replay DRY_RUN=1`.")
        return found

    def _read(self, ticket_id: str) -> dict[str, Any] | None:
        """A ticket as agents see it; None if it is not stored yet."""
        response = self._http.get(f"/tickets/{ticket_id}", headers=self._agent)
        if response.status_code == 404:
            return None
        if response.status_code != 200:
            raise StackError(f"The ticket {ticket_id} cannot be read: {response.status_code} {response.text}")
        return dict(response.json())

    def _print_events(self, ticket_ids: list[str]) -> None:
        for event in self._log.new_events():
            if any(ticket_id in event for ticket_id in ticket_ids):
                echo(event)

    def _set_faults(self, faults: dict[str, Any]) -> None:
        httpx.post(f"{self._model_url}/faults", json=faults, trust_env=False).raise_for_status()
