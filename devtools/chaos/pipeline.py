"""The deployed pipeline as its operators see it, and their commands; the faults do not affect either."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from devtools.load.pipeline import Pipeline
from local.settings import PROJECT
from ops.queue import Queue
from support.domain.ticket import timestamp

_COMMAND_SECONDS = 300
_WATCH_SECONDS = 90
_TICKET_ID_LENGTH = 36


class ChaosPipeline(Pipeline):
    """The tickets, queues, executions and operations of a running stack."""

    def restarts(self) -> dict[str, str]:
        """The ticket ids of all executions that restarted a ticket, by execution name."""
        # The name of such an execution is the ticket's id and a suffix.
        names = [execution["name"] for execution in self.executions()]
        return {name: name[:_TICKET_ID_LENGTH] for name in names if len(name) > _TICKET_ID_LENGTH}

    def is_idle(self) -> bool:
        """Whether no execution is running, and the waiting room is empty."""
        # In this order, because a message stays in the queue until the execution that it started has ended.
        waiting_room = Queue(self._stack.client("sqs"), self._stack.waiting_room_url)
        return not self.executions("RUNNING") and not waiting_room.size()

    def set_visibility_timeout(self, seconds: int) -> None:
        """Shorten the five minutes after which a message whose consumer was killed is received again."""
        self._stack.client("sqs").set_queue_attributes(
            QueueUrl=self._stack.waiting_room_url, Attributes={"VisibilityTimeout": str(seconds)}
        )

    def age_pending_tickets(self) -> None:
        """Make every pending ticket old enough to be stuck, and end the leases of executions that have died.

        This replaces a wait of ten minutes. No execution may be running.
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
        """Sweep once, as the schedule does; return the number of tickets by outcome.

        Raises:
            RuntimeError: the function failed.
        """
        response = self._stack.invoke("sweep", b"{}")
        outcomes = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            raise RuntimeError(f"The sweep failed: {outcomes}")
        return dict(outcomes)

    def run_operator_command(self, command: str) -> tuple[int, str]:
        """Run `python -m ops command` as an operator does; return its exit code and its output."""
        done = subprocess.run(
            [sys.executable, "-m", "ops", command],
            cwd=PROJECT,
            env=self.operator_environment(deadline_seconds=_WATCH_SECONDS),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )
        return done.returncode, done.stdout + done.stderr

    def evidence(self, offending: Mapping[str, Iterable[str]]) -> dict[str, Any]:
        """What is stored of each offending ticket, and the histories of its executions."""
        tickets, executions = self.tickets(), self._histories()
        return {
            name: {key: {"stored": tickets.get(key), "executions": executions.get(key)} for key in ids}
            for name, ids in offending.items()
        }

    def _histories(self) -> dict[str, list[dict[str, Any]]]:
        """All executions with their histories, by ticket id."""
        client = self._stack.client("stepfunctions")
        executions: dict[str, list[dict[str, Any]]] = {}
        for execution in self.executions():
            history = client.get_execution_history(executionArn=execution["executionArn"])["events"]
            ticket_id = json.loads(history[0]["executionStartedEventDetails"]["input"])["ticketId"]
            executions.setdefault(ticket_id, []).append(execution | {"history": history})
        return executions
