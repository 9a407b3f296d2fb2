"""Runs executions of the state machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.aws.error_translation import translate_errors
from support.domain.errors import StartRejected, StartUnavailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# The error of the state machine's Fail state, which follows its failure branch.
_TICKET_FAILED = "TicketFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """The result of an execution; `execution` is its ARN.

    `deferral_error` is the error for which the execution sent the ticket to the waiting room again.
    `uncaught_error` ended the execution without a Catch: the caller must handle the ticket.
    """

    execution: str
    deferral_error: str | None = None
    uncaught_error: str | None = None
    cause: str = ""


class StateMachine:
    """The EXPRESS state machine."""

    def __init__(self, client: SFNClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def run(self, name: str, execution_input: Mapping[str, Any]) -> ExecutionResult:
        """Run an execution and wait until it ends.

        Raises:
            StartUnavailable: it did not start, or its end is unknown; a retry may succeed.
            StartRejected: a retry cannot succeed.
        """
        with translate_errors(unavailable=StartUnavailable, rejected=StartRejected):
            response = self._client.start_sync_execution(
                stateMachineArn=self._arn, name=name, input=json.dumps(execution_input, ensure_ascii=False)
            )
        arn = response["executionArn"]
        if response["status"] == "SUCCEEDED":
            deferral = json.loads(response["output"]).get("failure", {})
            return ExecutionResult(execution=arn, deferral_error=deferral.get("Error"))
        # A timeout of the state machine has no error name.
        error = response.get("error") or "States.Timeout"
        if error == _TICKET_FAILED:
            return ExecutionResult(execution=arn)
        return ExecutionResult(execution=arn, uncaught_error=error, cause=response.get("cause", ""))
