"""What a running stack writes down for its users: stack.json, and who runs it."""

import json
import os
import shlex
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from local.settings import ACCESS_KEY, StackError, aws_variables

# Where the AWS CLI is, among other commands of the virtual environment.
_COMMANDS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Where the parts of a running stack are; stack.json holds the same with camelCase names."""

    api_url: str
    endpoint_url: str
    front_door_url: str
    region: str
    stack_name: str
    state_machine_arn: str
    tickets_table: str
    support_topic_arn: str
    failure_topic_arn: str
    failed_tickets_queue_url: str
    replay_queue_url: str
    state_machine_log_group: str
    inbox_queue_url: str
    user_pool_id: str
    user_pool_client_id: str
    service_client_policy_arn: str
    usage_plan_id: str
    model_url: str

    def save(self, folder: Path) -> None:
        """Write stack.json."""
        document = {_camel(name): value for name, value in asdict(self).items()}
        (folder / "stack.json").write_text(json.dumps(document, indent=2) + "\n")

    def save_shell_settings(self, folder: Path) -> None:
        """Write aws.env, by which a shell's AWS CLI works on this stack: `. .local/aws.env`."""
        settings = aws_variables(self.endpoint_url) | {
            "AWS_REGION": self.region,
            "AWS_PAGER": "",
            "STACK": self.stack_name,
            "API": self.front_door_url,
        }
        lines = [f"export {name}={shlex.quote(value)}" for name, value in settings.items()]
        # What belongs to the user's own account must not get in between.
        lines += ["unset AWS_PROFILE AWS_SESSION_TOKEN", f'PATH={shlex.quote(str(_COMMANDS))}:"$PATH"']
        (folder / "aws.env").write_text("\n".join(lines) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Stack":
        """Read stack.json.

        Raises:
            StackError: no stack is running.
        """
        try:
            document = json.loads((folder / "stack.json").read_text())
        except FileNotFoundError:
            raise StackError("No local stack is running: start one with `make run`.") from None
        return cls(**{name: document[_camel(name)] for name in cls.__dataclass_fields__})

    def invoke(self, function: str, payload: bytes) -> Any:
        """Invoke a function by its short name, such as `store`; Lambda's answer, its `Payload` unread."""
        return self.client("lambda").invoke(FunctionName=self.function_name(function), Payload=payload)

    def function_name(self, function: str) -> str:
        """A function's deployed name, by its short one, such as `store`."""
        resource = self.client("cloudformation").describe_stack_resource(
            StackName=self.stack_name, LogicalResourceId=f"{function.capitalize()}Function"
        )
        return str(resource["StackResourceDetail"]["PhysicalResourceId"])

    def client(self, service: str) -> Any:
        """A boto3 client of the embedded AWS."""
        return local_client(service, self.endpoint_url, self.region)


@cache
def local_client(service: str, endpoint_url: str, region: str) -> Any:
    """A boto3 client of the embedded AWS, whatever AWS settings the user has."""
    session = boto3.Session(
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=ACCESS_KEY, region_name=region
    )
    return session.client(service, endpoint_url=endpoint_url)  # type: ignore[call-overload]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)
