"""What several of the unit tests look at."""

import json
import os
from collections.abc import Callable
from typing import Any

import boto3
import pytest


@pytest.fixture
def started(aws: None) -> Callable[[], dict[str, Any]]:
    """The executions that were started since the test began: name → input."""
    stepfunctions = boto3.client("stepfunctions")
    arn = os.environ["STATE_MACHINE_ARN"]
    stepfunctions.create_state_machine(
        name=arn.rpartition(":")[2],
        definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
        roleArn="arn:aws:iam::123456789012:role/pipeline",
    )

    def executions() -> dict[str, Any]:
        listed = stepfunctions.list_executions(stateMachineArn=arn)["executions"]
        inputs = {e["name"]: stepfunctions.describe_execution(executionArn=e["executionArn"]) for e in listed}
        return {name: json.loads(found["input"]) for name, found in inputs.items()}

    return executions
