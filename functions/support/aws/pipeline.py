"""The ticket pipeline: the state machine, as those see it who start executions again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from support.aws.errors import translated
from support.domain.errors import StartRejected, StartUnavailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class TicketPipeline:
    """The EXPRESS state machine."""

    def __init__(self, client: SFNClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def start(self, name: str, submission: Mapping[str, Any]) -> None:
        """Start an execution; a name that is taken means that it was started before.

        Raises:
            StartUnavailable: a repeat may succeed.
            StartRejected: a repeat cannot succeed.
        """
        with translated(unavailable=StartUnavailable, rejected=StartRejected):
            try:
                self._client.start_execution(
                    stateMachineArn=self._arn, name=name, input=json.dumps(submission, ensure_ascii=False)
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                    raise
