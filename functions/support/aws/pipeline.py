"""The ticket pipeline: the state machine, as the waiting room's consumer sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.aws.errors import translated
from support.domain.errors import StartRejected, StartUnavailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# How the state machine's own failure branch ends.
_TICKET_FAILED = "TicketFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an execution ended.

    `deferred_by` is the error for which its ticket waits again, in a new message. `cut_off_by` is the error
    that ended the execution where no Catch could see it: the ticket is still this caller's.
    """

    execution: str
    deferred_by: str | None = None
    cut_off_by: str | None = None
    cause: str = ""


class TicketPipeline:
    """The EXPRESS state machine."""

    def __init__(self, client: SFNClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def run(self, name: str, execution_input: Mapping[str, Any]) -> End:
        """Run an execution and wait for its end; `execution` in it is the ARN.

        Raises:
            StartUnavailable: it was not started, or goes on unseen; a repeat may succeed.
            StartRejected: a repeat cannot succeed.
        """
        with translated(unavailable=StartUnavailable, rejected=StartRejected):
            answer = self._client.start_sync_execution(
                stateMachineArn=self._arn, name=name, input=json.dumps(execution_input, ensure_ascii=False)
            )
        arn = answer["executionArn"]
        if answer["status"] == "SUCCEEDED":
            return End(
                execution=arn, deferred_by=json.loads(answer["output"]).get("failure", {}).get("Error")
            )
        # AWS names no error where only the state machine's time is over.
        error = answer.get("error") or "States.Timeout"
        if error == _TICKET_FAILED:
            return End(execution=arn)
        return End(execution=arn, cut_off_by=error, cause=answer.get("cause", ""))
