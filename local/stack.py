"""What a running stack writes down for its users: stack.json, and who runs it."""

import json
import shlex
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from local.embedded_aws import EmbeddedAws
from local.private_files import write_private
from local.settings import StackError

# Where the AWS CLI is, among other commands of the virtual environment.
_COMMANDS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Where the parts of a running stack are; stack.json holds the same with camelCase names."""

    api_url: str
    endpoint_url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    front_door_url: str
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
        document = {_camel(name): value for name, value in asdict(self).items()}
        write_private(folder / "stack.json", json.dumps(document, indent=2) + "\n")

    def save_shell_settings(self, folder: Path) -> None:
        """Write aws.env, by which a shell's AWS CLI works on this stack: `. .local/aws.env`."""
        settings = self.aws.variables() | {
            "AWS_REGION": self.region,
            "AWS_PAGER": "",
            "STACK": self.stack_name,
            "API": self.front_door_url,
        }
        lines = [f"export {name}={shlex.quote(value)}" for name, value in settings.items()]
        # What belongs to the user's own account must not get in between.
        lines += ["unset AWS_PROFILE AWS_SESSION_TOKEN", f'PATH={shlex.quote(str(_COMMANDS))}:"$PATH"']
        write_private(folder / "aws.env", "\n".join(lines) + "\n")

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
        """Invoke a function's live version by its short name, such as `store`; Lambda's answer, unread."""
        return self.client("lambda").invoke(
            FunctionName=self.function_name(function), Qualifier="live", Payload=payload
        )

    def function_name(self, function: str) -> str:
        """A function's deployed name, by its short one, such as `store`."""
        resource = self.client("cloudformation").describe_stack_resource(
            StackName=self.stack_name, LogicalResourceId=f"{function.capitalize()}Function"
        )
        return str(resource["StackResourceDetail"]["PhysicalResourceId"])

    @property
    def aws(self) -> EmbeddedAws:
        """The embedded AWS that the stack is deployed to."""
        return EmbeddedAws(self.endpoint_url, self.access_key_id, self.secret_access_key)

    def client(self, service: str) -> Any:
        """A boto3 client of the embedded AWS."""
        return self.aws.client(service)


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)
