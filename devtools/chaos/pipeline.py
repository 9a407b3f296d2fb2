"""The deployed pipeline as its operators see it, past all faults."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from devtools.load import pipeline
from local.deploy import PROJECT
from local.state import Stack
from ops.queue import Queue
from support.domain.ticket import timestamp

_OPS_SECONDS = 300
_WATCH_SECONDS = 90
_TICKET_ID = 36  # characters: every execution that is a restart has its ticket's id in front


class Pipeline(pipeline.Pipeline):
    """A running stack's table, queues, executions and operations."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        super().__init__(stack, folder)
        self.front_door_url = stack.front_door_url
        self.token = (folder / "token").read_text()

    def restarts(self) -> dict[str, str]:
        """The ticket ids of all executions that started a ticket again, by the execution's name."""
        names = [execution["name"] for execution in self.executions()]
        return {name: name[:_TICKET_ID] for name in names if len(name) > _TICKET_ID}

    def is_idle(self) -> bool:
        """Whether no execution runs, and no ticket is in the waiting room."""
        # In this order: what comes out of the waiting room meanwhile is in flight until its execution ends.
        waiting_room = Queue(self._stack.client("sqs"), self._stack.waiting_room_url)
        return not self.executions("RUNNING") and not waiting_room.size()

    def receive_again_after(self, seconds: int) -> None:
        """Let a message whose consumer was killed come back so soon: nobody waits for five minutes here."""
        self._stack.client("sqs").set_queue_attributes(
            QueueUrl=self._stack.waiting_room_url, Attributes={"VisibilityTimeout": str(seconds)}
        )

    def waiting(self) -> frozenset[str]:
        """The tickets in the failed-tickets queue, which is empty after that: only for the end."""
        return frozenset(self.failures())

    def age_whatever_is_pending(self) -> None:
        """Make every pending ticket so old that it counts as stuck, and end the leases of dead executions.

        Nobody waits for ten minutes here. No execution may be running.
        """
        client, hour_ago = self._stack.client("dynamodb"), datetime.now(UTC) - timedelta(hours=1)
        for ticket_id, ticket in self.tickets().items():
            if aged := [name for name in ("pendingSince", "leasedUntil") if name in ticket]:
                client.update_item(
                    TableName=self._stack.tickets_table,
                    Key={"ticketId": {"S": ticket_id}},
                    UpdateExpression="SET " + ", ".join(f"{name} = :since" for name in aged),
                    ExpressionAttributeValues={":since": {"S": timestamp(hour_ago)}},
                )

    def sweep(self) -> dict[str, int]:
        """Sweep once, as the schedule does; return how many tickets met which outcome.

        Raises:
            RuntimeError: the function failed.
        """
        answer = self._stack.invoke("sweep", b"{}")
        outcome = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise RuntimeError(f"The sweep failed: {outcome}")
        return dict(outcome)

    def operate(self, command: str) -> tuple[int, str]:
        """Run `python -m ops …` as an operator does; return its exit code and what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "ops", command],
            cwd=PROJECT,
            env=self.operators_environment(deadline_seconds=_WATCH_SECONDS),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_OPS_SECONDS,
        )
        return done.returncode, done.stdout + done.stderr

    def evidence(self, suspects: Mapping[str, Iterable[str]]) -> dict[str, Any]:
        """All that is known of each suspect group's tickets: the ticket, and its executions' histories."""
        client, tickets = self._stack.client("stepfunctions"), self.tickets()
        executions: dict[str, list[Any]] = {}
        for execution in self.executions():
            history = client.get_execution_history(executionArn=execution["executionArn"])["events"]
            ticket_id = json.loads(history[0]["executionStartedEventDetails"]["input"])["ticketId"]
            executions.setdefault(ticket_id, []).append(execution | {"history": history})
        return {
            group: {key: {"stored": tickets.get(key), "executions": executions.get(key)} for key in keys}
            for group, keys in suspects.items()
        }
