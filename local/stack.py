"""A running local stack: the addresses of its parts, which stack.json and aws.env hold for its users."""

import json
import shlex
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.emulator import Emulator
from local.private_files import write_private
from local.settings import StackError

# The AWS CLI is one of the commands of the virtual environment.
_AWS_CLI = Path(sys.executable).parent / "aws"
_NOT_RUNNING = "No local stack is running: start one with `make run`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The addresses and names of a stack's parts; stack.json holds the same under camelCase names."""

    api_url: str
    endpoint_url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    web_url: str
    region: str
    stack_name: str
    state_machine_arn: str
    tickets_table: str
    support_topic_arn: str
    failure_topic_arn: str
    failed_tickets_queue_url: str
    waiting_room_url: str
    state_machine_log_group: str
    inbox_queue_url: str
    mailbox_queue_url: str
    user_pool_id: str
    user_pool_client_id: str
    service_client_policy_arn: str
    usage_plan_id: str
    model_url: str

    def save(self, folder: Path) -> None:
        """Write stack.json."""
        document = {_camel_case(name): value for name, value in asdict(self).items()}
        write_private(folder / "stack.json", json.dumps(document, indent=2) + "\n")

    def save_shell_settings(self, folder: Path) -> None:
        """Write aws.env, which makes the AWS CLI of a shell use this stack: `. .local/aws.env`.

        The shell's `aws` is a script that names the endpoint as an option. Version 1 of the AWS CLI ignores
        AWS_ENDPOINT_URL for SQS and some other services, and would call AWS itself.

        STACK, for the commands in the guides, is not exported: `make` would look for a deployed stack.
        """
        settings = self.emulator.variables() | {
            "AWS_REGION": self.region,
            "AWS_PAGER": "",
            "API": self.web_url,
            "MODEL_URL": self.model_url,
        }
        commands = folder / "bin"
        lines = ["# Points the AWS CLI of this shell at the local stack. To leave it, open a new terminal."]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in settings.items()]
        # Settings for the user's own account would take precedence.
        lines += ["unset AWS_PROFILE AWS_SESSION_TOKEN STACK", f"STACK={shlex.quote(self.stack_name)}"]
        lines += [f'PATH={shlex.quote(str(commands))}:"$PATH"']
        write_private(folder / "aws.env", "\n".join(lines) + "\n")
        self._save_aws_command(commands)

    def _save_aws_command(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        command = folder / "aws"
        command.write_text(
            f'#!/bin/sh\nexec {shlex.quote(str(_AWS_CLI))} --endpoint-url {self.endpoint_url} "$@"\n'
        )
        command.chmod(0o755)

    @classmethod
    def load(cls, folder: Path) -> "Stack":
        """Read stack.json.

        Raises:
            StackError: no stack is running.
        """
        try:
            document = json.loads((folder / "stack.json").read_text())
        except FileNotFoundError:
            raise StackError(_NOT_RUNNING) from None
        return cls(**{name: document[_camel_case(name)] for name in cls.__dataclass_fields__})

    def require_running(self) -> None:
        """Check that the emulator answers and accepts the key: a stack that was killed leaves its files.

        Raises:
            StackError: it does not.
        """
        cloudformation = self.emulator.session().client(
            "cloudformation", endpoint_url=self.endpoint_url, config=Config(retries={"total_max_attempts": 1})
        )
        try:
            cloudformation.describe_stacks(StackName=self.stack_name)
        except (BotoCoreError, ClientError):
            raise StackError(_NOT_RUNNING) from None

    def invoke(self, function: str, payload: bytes) -> Any:
        """Invoke a function's live version by its short name, such as `store`; return Lambda's response."""
        return self.client("lambda").invoke(
            FunctionName=self.function_name(function), Qualifier="live", Payload=payload
        )

    def function_name(self, function: str) -> str:
        """The deployed name of a function with this short name, such as `store`."""
        return self.physical_id(f"{function.capitalize()}Function")

    def physical_id(self, logical_id: str) -> str:
        """The deployed name of a resource of the template."""
        resource = self.client("cloudformation").describe_stack_resource(
            StackName=self.stack_name, LogicalResourceId=logical_id
        )
        return str(resource["StackResourceDetail"]["PhysicalResourceId"])

    @property
    def emulator(self) -> Emulator:
        """The emulator that the stack is deployed to."""
        return Emulator(self.endpoint_url, self.access_key_id, self.secret_access_key)

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        return self.emulator.client(service)


def _camel_case(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)
