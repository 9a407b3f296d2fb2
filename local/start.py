"""Starting a local stack: its servers, the deployment, and the demo users."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local.build import build
from local.cleanup import remove_temporary_files
from local.console import step
from local.deploy import connect, deploy
from local.emulator import Emulator
from local.private_files import open_private
from local.processes import ProcessGroup, free_port, record_process, require_free_port, running_processes
from local.service_client import create_service_client
from local.settings import HOST, Settings, StackError
from local.stack import Stack
from local.users import create_users, renew_tokens
from local.warm_up import warm_up


@contextmanager
def process_group(settings: Settings) -> Iterator[ProcessGroup]:
    """A process group for `start`; the end of the block stops its processes, and ignores further signals.

    Raises:
        StackError: a stack is already running from the folder, or a port is in use.
    """
    settings.temporary.mkdir(parents=True, exist_ok=True)
    _require_no_other_stack(settings.folder)
    require_free_port(settings.port, "PORT")
    require_free_port(settings.emulator_port, "EMULATOR_PORT")
    record_process(settings.folder, os.getpid())
    group = ProcessGroup(settings.folder)
    try:
        yield group
    finally:
        # A second Ctrl-C must not interrupt the cleanup.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        group.stop()
        remove_temporary_files(settings)


def _require_no_other_stack(folder: Path) -> None:
    if running := running_processes(folder):
        pids = ", ".join(str(process.pid) for process in running)
        raise StackError(
            f"A stack is already running from {folder} (processes {pids}): stop it with `make stop`."
        )
    (folder / "processes.json").unlink(missing_ok=True)


def start(
    settings: Settings,
    group: ProcessGroup,
    emulator: Emulator,
    function_environment: Mapping[str, str] | None = None,
) -> Stack:
    """Start the servers in the group, build and deploy; return the running stack.

    `function_environment` is added to the environment that the functions inherit from the emulator.

    Raises:
        StackError: a part could not be started.
    """
    open_private(settings.folder / "functions.log").close()
    model_url = f"http://{HOST}:{free_port()}"
    with step("Starting the emulator and the model"):
        environment = _emulator_environment(settings, emulator, model_url) | dict(function_environment or {})
        _start_emulator_and_model(group, emulator, environment, model_url)
    with step("Building the functions"):
        build(settings, emulator)
    with step("Deploying the template"):
        outputs = deploy(settings, emulator)
    with step("Creating the demo users and the demo service"):
        stack = connect(settings, emulator, outputs, model_url)
        _create_demo_clients(stack, settings.folder)
    console_port = _start_console(settings, group, emulator)
    with step("Warming up the functions"):
        warm_up(stack, settings.folder / "functions.log")
    with step("Starting the console and the web server"):
        _start_web_server(settings, group, stack, f"http://{HOST}:{console_port}")
    return stack


def _emulator_environment(settings: Settings, emulator: Emulator, model_url: str) -> dict[str, str]:
    environment = emulator.environment() | {
        "GATEWAY_PORT": str(settings.emulator_port),
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": model_url,
        "FUNCTION_LOG": str(settings.folder / "functions.log"),
        "EMULATOR_TMP": str(settings.temporary),
        # As on AWS. By default the emulator derives it from the machine's memory; LAMBDA_WORKERS limits
        # the processes.
        "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
        # Enforces roles, queue policies and signatures, as AWS does.
        "AUTH": "true",
        "PAGE_ORIGIN": settings.web_url,
    }
    # The emulator itself sets the endpoint of its functions.
    del environment["AWS_ENDPOINT_URL"]
    return environment


def _start_emulator_and_model(
    group: ProcessGroup, emulator: Emulator, environment: Mapping[str, str], model_url: str
) -> None:
    # The model keeps the user's own AWS settings: MODEL=bedrock calls Bedrock with them.
    group.start("model", "devtools.model", "--port", model_url.rpartition(":")[2], environment=os.environ)
    group.start("emulator", "devtools.emulator", environment=environment)
    group.wait_until_healthy("emulator", f"{emulator.endpoint_url}/_ministack/health")
    group.wait_until_healthy("model", f"{model_url}/healthz")


def _create_demo_clients(stack: Stack, folder: Path) -> None:
    """Create the demo users and the demo service, and write the files that their users need."""
    create_users(stack, folder)
    renew_tokens(stack, folder)
    create_service_client(stack, folder)
    stack.save(folder)
    stack.save_shell_settings(folder)


def _start_console(settings: Settings, group: ProcessGroup, emulator: Emulator) -> int:
    """Start the console, which reads stack.json; return its port. It becomes ready during the warm-up."""
    port = free_port()
    # It is this stack's, whatever deployed stack the user's environment names.
    options = {"STACK": "", "PORT": str(port), "STACK_DIR": str(settings.folder)}
    group.start("console", "console", environment=emulator.environment() | options)
    return port


def _start_web_server(settings: Settings, group: ProcessGroup, stack: Stack, console_url: str) -> None:
    group.wait_until_healthy("console", f"{console_url}/console/health")
    urls = ["--api-url", stack.api_url, "--console-url", console_url]
    group.start("web-server", "local.web_server", "--port", str(settings.port), *urls, environment=os.environ)
    group.wait_until_healthy("web-server", f"{settings.web_url}/healthz")
