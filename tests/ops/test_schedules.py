"""Sweep and digest: the function's live version runs once, and its result is reported."""

import io
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from ops.options import UsageError
from ops.report import Report
from ops.schedules import send_digest, sweep
from ops.stack import DeployedStack

SWEPT = {"swept": 2, "set_aside": 1, "left": 3, "fault": 0, "unavailable": 0}
ALIAS = "arn:aws:lambda:us-east-1:123456789012:function:{}:live"


class FakeAws:
    """A client of CloudFormation and Lambda for a stack with two functions."""

    def __init__(
        self,
        result: Any,
        *,
        has_failed: bool = False,
        functions: Sequence[str] = ("SweepFunction", "DigestFunction"),
    ) -> None:
        self.invoked: list[str] = []
        self._functions = functions
        self._response: dict[str, Any] = {"Payload": io.BytesIO(json.dumps(result).encode())}
        if has_failed:
            self._response["FunctionError"] = "Unhandled"

    def get_paginator(self, _operation: str) -> Any:
        resources = [
            {
                "ResourceType": "AWS::Lambda::Alias",
                "LogicalResourceId": f"{name}Aliaslive",
                "PhysicalResourceId": ALIAS.format(name),
            }
            for name in self._functions
        ]
        return SimpleNamespace(paginate=lambda **_: [{"StackResourceSummaries": resources}])

    def invoke(self, *, FunctionName: str, Payload: bytes) -> Any:  # noqa: N803
        assert json.loads(Payload) == {}
        self.invoked.append(FunctionName)
        return self._response


def stack(aws: Any) -> DeployedStack:
    return DeployedStack(label="the stack", name="s", client=lambda _: aws, outputs={}, parameters={})


@pytest.mark.parametrize(
    ("counts", "exit_code", "lines"),
    [
        ({}, 0, ["Sent 2 stuck tickets to the waiting room, and set 1 unreadable ticket aside."]),
        (
            {"swept": 0, "set_aside": 0, "fault": 1, "unavailable": 1},
            1,
            [
                "Sent 0 stuck tickets to the waiting room, and set 0 unreadable tickets aside.",
                "2 tickets could not be swept; the next sweep tries again.",
            ],
        ),
    ],
)
def test_a_sweep_is_reported(counts: dict[str, int], exit_code: int, lines: list[str], capsys: Any) -> None:
    aws = FakeAws(SWEPT | counts)

    assert sweep(stack(aws), Report()) == exit_code

    assert capsys.readouterr().out.splitlines() == lines
    assert aws.invoked == [ALIAS.format("SweepFunction")]


@pytest.mark.parametrize(
    ("tickets", "line"),
    [
        (0, "No tickets wait for the digest: no mail was sent."),
        (1, "Sent a digest of 1 ticket."),
        (1200, "Sent a digest of 1,200 tickets."),
    ],
)
def test_a_digest_is_reported(tickets: int, line: str, capsys: Any) -> None:
    aws = FakeAws({"tickets": tickets})

    assert send_digest(stack(aws), Report()) == 0

    assert capsys.readouterr().out == f"{line}\n"
    assert aws.invoked == [ALIAS.format("DigestFunction")]


@pytest.mark.parametrize("command", [sweep, send_digest])
def test_a_function_that_fails_is_reported(command: Any, capsys: Any) -> None:
    error = {"errorType": "NotifyRejected", "errorMessage": "Publish: NotFound: no topic", "stackTrace": []}

    assert command(stack(FakeAws(error, has_failed=True)), Report()) == 1

    assert capsys.readouterr().out.endswith(
        "Function failed with NotifyRejected: Publish: NotFound: no topic\n"
    )


def test_a_stack_without_the_function_is_reported() -> None:
    with pytest.raises(UsageError, match="Stack s has no resource SweepFunctionAliaslive"):
        sweep(stack(FakeAws({}, functions=[])), Report())
