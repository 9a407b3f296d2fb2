"""`make run`: the whole pipeline on this machine, until Ctrl-C."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from local.deploy import build, deploy, describe
from local.embedded_aws import EmbeddedAws
from local.log_tail import LogTail
from local.private_files import open_private
from local.processes import ProcessGroup, free_port, register, registered, require_free
from local.service_client import create_service_client
from local.settings import HOST, Settings, StackError
from local.state import Stack
from local.users import create_users, renew_tokens
from local.warm_up import warm_up

# Of use only as long as the stack runs.
_WRITTEN = (
    "stack.json",
    "aws.env",
    "token",
    "agent-token",
    "admin-token",
    "passwords.json",
    "service.json",
    "service.curl",
    "processes.json",
)


class _StopRequested(BaseException):
    """Somebody asked the stack to stop; not an error."""


def run(settings: Settings) -> None:
    """Start everything, tell what happens to tickets, and stop everything when asked to.

    Raises:
        StackError: a part could not be started, or ended by itself.
    """
    with process_group(settings) as group:
        try:
            with _stop_signals():
                stack = start(settings, group, EmbeddedAws.with_new_key(settings.endpoint_url))
                log_tail = LogTail(settings.folder / "functions.log")
                say(_welcome(settings, stack))
                _tell_until_stopped(log_tail, group)
        except _StopRequested:
            say("Stopping …")


@contextmanager
def process_group(settings: Settings) -> Iterator[ProcessGroup]:
    """A group for `start`. When the block ends its processes do, too, and from then on signals are ignored.

    Raises:
        StackError: a stack already runs from the folder, or a port is taken.
    """
    settings.temporary.mkdir(parents=True, exist_ok=True)
    _require_alone(settings.folder)
    require_free(settings.port, "PORT")
    require_free(settings.emulator_port, "EMULATOR_PORT")
    register(settings.folder, os.getpid())
    group = ProcessGroup(settings.folder)
    try:
        yield group
    finally:
        # Nothing may cut the cleaning up short.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        group.stop()
        for name in _WRITTEN:
            (settings.folder / name).unlink(missing_ok=True)
        shutil.rmtree(settings.temporary, ignore_errors=True)


def start(
    settings: Settings,
    group: ProcessGroup,
    aws: EmbeddedAws,
    function_environment: Mapping[str, str] | None = None,
) -> Stack:
    """Start, build and deploy everything; return the running stack, whose processes are in the group.

    `aws` is the embedded AWS that is to be started.
    `function_environment` is added to what the functions inherit from the emulator.

    Raises:
        StackError: a part could not be started.
    """
    open_private(settings.folder / "functions.log").close()
    model_url = f"http://{HOST}:{free_port()}"
    with _step("Starting the embedded AWS and the model"):
        # The model keeps the user's own AWS settings: MODEL=bedrock calls Bedrock with them.
        group.start("model", "devtools.model", "--port", model_url.rpartition(":")[2], environment=os.environ)
        environment = _emulator_environment(settings, aws, model_url) | dict(function_environment or {})
        group.start("emulator", "devtools.emulator", environment=environment)
        group.wait_until_healthy("emulator", f"{settings.endpoint_url}/_ministack/health")
        group.wait_until_healthy("model", f"{model_url}/healthz")
    with _step("Building the functions"):
        build(settings, aws)
    with _step("Deploying the template"):
        outputs = deploy(settings, aws)
    with _step("Creating the demo users and the demo service"):
        stack = describe(settings, aws, outputs, model_url)
        create_users(stack, settings.folder)
        renew_tokens(stack, settings.folder)
        create_service_client(stack, settings.folder)
        stack.save(settings.folder)
        stack.save_shell_settings(settings.folder)
    with _step("Warming up the functions"):
        warm_up(stack)
    with _step("Opening the front door"):
        group.start(
            "front-door", "local.web_server", "--port", str(settings.port), "--api-url", stack.api_url,
            environment=os.environ,
        )  # fmt: skip
        group.wait_until_healthy("front-door", f"{settings.front_door_url}/healthz")
    return stack


def _emulator_environment(settings: Settings, aws: EmbeddedAws, model_url: str) -> dict[str, str]:
    environment = aws.environment() | {
        "GATEWAY_PORT": str(settings.emulator_port),
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": model_url,
        "FUNCTION_LOG": str(settings.folder / "functions.log"),
        "EMULATOR_TMP": str(settings.temporary),
        # As on AWS; the emulator's own limit follows the machine's memory. worker_limit bounds the processes.
        "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
        # Roles, queue policies and signatures are enforced, as on AWS.
        "AUTH": "true",
        "PAGE_ORIGIN": settings.front_door_url,
    }
    # The functions reach the emulator by an address of its own making.
    del environment["AWS_ENDPOINT_URL"]
    return environment


def _tell_until_stopped(log_tail: LogTail, group: ProcessGroup) -> None:
    while True:
        for line in log_tail.new_lines():
            say(line)
        group.check()
        time.sleep(0.2)


def _require_alone(folder: Path) -> None:
    if running := registered(folder):
        pids = ", ".join(str(process.pid) for process in running)
        raise StackError(f"A stack already runs from {folder} (processes {pids}): end it with `make stop`.")
    (folder / "processes.json").unlink(missing_ok=True)


@contextmanager
def _stop_signals() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _StopRequested

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    yield


@contextmanager
def _step(title: str) -> Iterator[None]:
    began = time.monotonic()
    sys.stdout.write(f"{title} … ")
    sys.stdout.flush()
    try:
        yield
    except BaseException:
        say("")
        raise
    say(f"{time.monotonic() - began:.0f} s")


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _welcome(settings: Settings, stack: Stack) -> str:
    folder = _short(settings.folder)
    url = settings.front_door_url
    return f"""
The support pipeline is running.

  Front door    {url}   (health: {url}/healthz)
  API docs      {url}/docs
  Embedded AWS  {stack.endpoint_url}
  Model         {stack.model_url}
  Details       {folder}/stack.json

Send a ticket:

  curl -s {url}/support-request \\
    -H "Authorization: Bearer $(cat {folder}/token)" \\
    -H "Content-Type: application/json" \\
    -d '{{"subject": "Double charge", "content": "I was charged twice this month. Please refund one."}}'

Read it, with the ticketId from the answer:

  curl -s {url}/tickets/TICKET_ID -H "Authorization: Bearer $(cat {folder}/token)"

An agent's and an admin's token are in {folder}/agent-token and {folder}/admin-token. As a service,
which signs its requests and names the customer:

  curl -s -K {folder}/service.curl {url}/service/support-request \\
    -d '{{"customerId": "customer-4711", "content": "My parcel has not arrived."}}'

Ctrl-C stops everything. What happens to tickets:
"""


def _short(folder: Path) -> str:
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
