"""A stack to deploy repeatedly: a function and a state machine, with versions and aliases."""

import json
from typing import Any

from devtools.emulator.tests.harness import ROLE, Emulator, eventually, unique

EXISTING_PATH = "/"

# The handler waits for a file, so that a test can act while an execution is in its first state.
CODE = """
import os, time

def handler(event, context):
    while not os.path.exists(event.get("marker", "/")):
        time.sleep(0.01)
    return "{answer}"
"""


class Releases:
    """The stack, and the results of its executions."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.stack = unique("stack")
        self._count = 0
        self._deployed: dict[str, Any] = {}

    def deploy(self, answer: str) -> None:
        """Deploy a function that returns `answer`, and with it the state machine."""
        self._count += 1
        self._apply(self._resources(answer))

    def deploy_only_the_machine(self) -> None:
        """Deploy a change of the state machine alone."""
        machine = self._deployed["Machine"]
        definition = machine["Properties"]["DefinitionString"] + " "
        properties = machine["Properties"] | {"DefinitionString": definition}
        self._apply(self._deployed | {"Machine": machine | {"Properties": properties}})

    def _apply(self, resources: dict[str, Any]) -> None:
        cloudformation = self.emulator.client("cloudformation")
        call = cloudformation.update_stack if self._deployed else cloudformation.create_stack
        call(StackName=self.stack, TemplateBody=json.dumps({"Resources": resources}))
        self._deployed = resources

        def final_status() -> str:
            status: str = cloudformation.describe_stacks(StackName=self.stack)["Stacks"][0]["StackStatus"]
            return "" if "IN_PROGRESS" in status else status

        assert eventually(final_status) in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}

    def _resources(self, answer: str) -> dict[str, Any]:
        # As in SAM: each version of a function has its own logical id, and old versions are kept.
        version = f"FunctionVersion{self._count}"
        retain = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
        task = {"Type": "Task", "Resource": "${Function}", "TimeoutSeconds": 20}
        definition = {
            "StartAt": "Wait",
            "States": {
                "Wait": task | {"ResultPath": None, "Next": "Answer"},
                "Answer": task | {"Parameters": {}, "End": True},
            },
        }
        return {
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": "python3.13",
                    "Handler": "index.handler",
                    "Role": ROLE,
                    "Timeout": 20,
                    "Code": {"ZipFile": CODE.format(answer=answer)},
                },
            },
            version: retain
            | {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Function"}}},
            "FunctionAlias": {
                "Type": "AWS::Lambda::Alias",
                "Properties": {
                    "Name": "live",
                    "FunctionName": {"Ref": "Function"},
                    "FunctionVersion": {"Fn::GetAtt": [version, "Version"]},
                },
            },
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {
                    "StateMachineType": "EXPRESS",
                    "RoleArn": ROLE,
                    "DefinitionString": json.dumps(definition),
                    "DefinitionSubstitutions": {"Function": {"Ref": version}},
                },
            },
            "MachineVersion": retain
            | {
                "Type": "AWS::StepFunctions::StateMachineVersion",
                "Properties": {
                    "StateMachineArn": {"Ref": "Machine"},
                    "StateMachineRevisionId": {"Fn::GetAtt": ["Machine", "StateMachineRevisionId"]},
                },
            },
            "MachineAlias": {
                "Type": "AWS::StepFunctions::StateMachineAlias",
                "Properties": {
                    "Name": "live",
                    "DeploymentPreference": {
                        "Type": "ALL_AT_ONCE",
                        "StateMachineVersionArn": {"Ref": "MachineVersion"},
                    },
                },
            },
        }

    def id(self, logical_id: str) -> str:
        """The physical id of a resource."""
        described = self.emulator.client("cloudformation").describe_stack_resource(
            StackName=self.stack, LogicalResourceId=logical_id
        )
        return str(described["StackResourceDetail"]["PhysicalResourceId"])

    def start(self, marker: str = EXISTING_PATH, machine: str | None = None) -> str:
        """Start the alias, or another state machine; the first state waits for the file `marker`."""
        started = self.emulator.client("stepfunctions").start_execution(
            stateMachineArn=machine or self.id("MachineAlias"), input=json.dumps({"marker": marker})
        )
        return str(started["executionArn"])

    def answer(self, execution: str) -> str:
        """The result of an execution, once it has ended."""
        ended = self.emulator.wait_for_end(execution)
        assert ended["status"] == "SUCCEEDED", ended
        return str(json.loads(ended["output"]))

    def function_answers(self) -> str:
        """The result of the function's alias."""
        error, answer = self.emulator.invoke(self.id("FunctionAlias"), {})
        assert error is None
        return str(answer)
