"""Starting and stopping a stack: a clear error if it cannot start, and nothing left after it stops."""

import json
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from botocore.exceptions import ClientError

from local.processes import wait_for
from tests.helpers.running_stack import PROJECT, RunningStack


def command(stack: RunningStack, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    done: subprocess.CompletedProcess[str] = stack.command("local", *arguments, **environment)
    return done


def test_stack_json_has_the_addresses_of_all_parts(stack: RunningStack) -> None:
    document = json.loads((stack.folder / "stack.json").read_text())

    assert set(document) >= {
        "apiUrl",
        "endpointUrl",
        "region",
        "stateMachineArn",
        "ticketsTable",
        "supportTopicArn",
        "failureTopicArn",
        "failedTicketsQueueUrl",
        "inboxQueueUrl",
        "userPoolId",
        "userPoolClientId",
        "serviceClientPolicyArn",
        "usagePlanId",
        "modelUrl",
    }


@pytest.mark.parametrize(
    "name",
    [
        "stack.json",
        "aws.env",
        "token",
        "agent-token",
        "admin-token",
        "passwords.json",
        "service.json",
        "service.curl",
        "emulator.log",
        "functions.log",
    ],
)
def test_keys_tokens_and_logs_are_private(stack: RunningStack, name: str) -> None:
    assert (stack.folder / name).stat().st_mode & 0o777 == 0o600


def test_a_stack_begins_without_log_lines_that_look_like_failures(stack: RunningStack) -> None:
    event = json.loads((PROJECT / "events" / "notify" / "unknown-ticket.json").read_text())
    logged = stack.stack.client("logs").filter_log_events(
        logGroupName=stack.stack.physical_id("FunctionsLogGroup"),
        filterPattern=f'"{event["ticket"]["ticketId"]}"',
    )

    lines = (stack.folder / "functions.log").read_text().splitlines()
    lines += [logged_event["message"] for logged_event in logged["events"]]
    # Other tests ask the API for the same ticket.
    assert [line for line in lines if event["ticket"]["ticketId"] in line and "task failed" in line] == []


def test_no_log_of_the_stack_contains_what_a_customer_wrote(stack: RunningStack) -> None:
    stack.outcome(stack.submit({"content": "A sentence that only this customer wrote. I was charged twice."}))

    for log in stack.folder.glob("*.log"):
        assert "only this customer wrote" not in log.read_text(errors="replace"), log


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_printed_command_submits_a_ticket_as_a_service(stack: RunningStack) -> None:
    (said,) = re.findall(r"^  (curl -s -K .*?)\n\n", stack.output.read_text(), re.DOTALL | re.MULTILINE)

    done = subprocess.run(["sh", "-c", said], capture_output=True, text=True, check=True)

    assert set(json.loads(done.stdout)) == {"message", "ticketId"}


def test_make_token_renews_the_tokens(stack: RunningStack) -> None:
    before = stack.token()

    done = command(stack, "token")

    assert done.returncode == 0, done.stderr
    assert stack.post({"content": "I cannot sign in."}).status_code == 202
    assert stack.token().count(".") == before.count(".") == 2


@pytest.mark.parametrize(("task", "event", "code", "said"), [
    ("classify", "billing", 0, '"category": "BILLING"'),
    ("classify", "no-ticket", 1, "InvalidTicket"),
    ("classify", "nothing", 1, "must be one of billing, no-ticket, prompt-injection"),
    ("dance", "billing", 1, "must be one of store, classify, update, notify"),
    ("", "", 1, "must be one of store, classify, update, notify"),
])  # fmt: skip
def test_a_task_can_be_run_with_an_event(
    stack: RunningStack, task: str, event: str, code: int, said: str
) -> None:
    done = command(stack, "invoke", task, event)

    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_stack_in_the_same_folder_is_refused(stack: RunningStack) -> None:
    done = command(stack, "run")

    assert done.returncode == 1
    assert "already running" in done.stderr
    assert "make stop" in done.stderr
    assert stack.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("variable", ["PORT", "EMULATOR_PORT"])
def test_a_port_in_use_is_reported(stack: RunningStack, tmp_path: Path, variable: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        others = {"PORT": "0", "EMULATOR_PORT": "0"} | {variable: port}
        free = {name: _free() if value == "0" else value for name, value in others.items()}
        done = command(stack, "run", STACK_DIR=str(tmp_path), **free)

    assert done.returncode == 1
    assert f"Port {port} is in use" in done.stderr
    assert variable in done.stderr


def test_a_console_on_a_port_in_use_says_how_to_choose_another(stack: RunningStack) -> None:
    done = stack.command("console", PORT=str(stack.port))

    assert (done.returncode, done.stdout) == (2, "")
    assert str(stack.port) in done.stderr
    assert done.stderr.endswith("Choose another port with PORT=.\n")


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_an_invalid_port_is_reported(stack: RunningStack, port: str) -> None:
    done = command(stack, "run", PORT=port)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"PORT must be a number from 1 to 65535, not {port}" in done.stderr


def test_the_same_port_for_two_servers_is_rejected_immediately(stack: RunningStack) -> None:
    done = command(stack, "run", PORT="4242", EMULATOR_PORT="4242")

    assert (done.returncode, done.stdout) == (1, "")
    assert "must differ" in done.stderr


@pytest.mark.parametrize("asked", ["token", "invoke"])
def test_without_a_stack_a_command_says_how_to_start_one(
    stack: RunningStack, tmp_path: Path, asked: str
) -> None:
    arguments = [asked, "classify", "billing"] if asked == "invoke" else [asked]

    done = command(stack, *arguments, STACK_DIR=str(tmp_path))

    assert (done.returncode, done.stderr) == (1, "No local stack is running: start one with `make run`.\n")


def test_stopping_without_a_stack_is_not_an_error(stack: RunningStack, tmp_path: Path) -> None:
    done = command(stack, "stop", STACK_DIR=str(tmp_path))

    assert (done.returncode, done.stdout) == (0, "No local stack is running.\n")


def test_an_unknown_model_is_reported(stack: RunningStack, tmp_path: Path) -> None:
    done = command(stack, "run", STACK_DIR=str(tmp_path), PORT=_free(), EMULATOR_PORT=_free(), MODEL="gpt")

    assert done.returncode == 1
    assert "model exited with code 2: MODEL='gpt' is invalid" in done.stderr


def test_the_emulator_accepts_only_the_key_of_its_own_stack(stack: RunningStack) -> None:
    other = replace(stack.stack.emulator, secret_access_key="local")

    with pytest.raises(ClientError, match="signature"):
        other.client("lambda").list_functions()


def test_every_server_of_the_stack_refuses_requests_from_pages_of_other_sites(stack: RunningStack) -> None:
    addresses = [
        ("POST", f"{stack.url}/support-request"),
        ("GET", f"{stack.url}/docs"),
        ("GET", f"{stack.url}/console/sign-in"),
        ("POST", f"{stack.stack.model_url}/faults"),
        ("GET", f"{stack.stack.model_url}/calls"),
        ("POST", f"{stack.stack.endpoint_url}/2015-03-31/functions/"),
        ("POST", f"{stack.stack.api_url}/support-request"),
    ]

    for method, address in addresses:
        for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
            answer = stack.http.request(method, address, headers=foreign | {"Content-Type": "text/plain"})
            assert answer.status_code == 403, address
            assert "access-control-allow-origin" not in answer.headers


def test_all_servers_listen_on_loopback_only(stack: RunningStack) -> None:
    family = descendants(stack)
    listening = [
        c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN
    ]

    assert listening
    assert set(listening) <= {"127.0.0.1", "::1"}


@pytest.fixture
def starting(stack: RunningStack, tmp_path: Path) -> Iterator[RunningStack]:
    """A second stack."""
    folder, temporary = tmp_path / "another", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    with RunningStack(folder, {"TMPDIR": str(temporary)}) as starting:
        yield starting


@pytest.fixture
def another(starting: RunningStack) -> RunningStack:
    """The second stack, when it is healthy."""
    return starting.wait_until_healthy()


def descendants(stack: RunningStack) -> list[psutil.Process]:
    return psutil.Process(stack.process.pid).children(recursive=True)


def assert_nothing_is_left(stack: RunningStack, family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    assert list(Path(stack.environment["TMPDIR"]).iterdir()) == []
    # The `aws` of a shell that has sourced aws.env stays, in bin.
    left = {path.name for path in stack.folder.iterdir()} - {"bin"}
    assert all(name.endswith(".log") for name in left), left


def test_ctrl_c_during_the_start_leaves_nothing_behind(starting: RunningStack) -> None:
    def deploying() -> bool:
        return "Deploying" in starting.output.read_text() and len(descendants(starting)) >= 3

    assert wait_for(deploying, 60)
    assert not (starting.folder / "build.log").exists(), "nothing has changed, so nothing is built again"
    family = descendants(starting)

    assert starting.stop() == 0
    assert "Traceback" not in starting.output.read_text()
    assert_nothing_is_left(starting, family)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_leaves_no_process_and_no_temporary_file(
    another: RunningStack, number: signal.Signals
) -> None:
    another.outcome(another.submit({"content": "I was charged twice."}))
    family = descendants(another)
    assert len(family) >= 7, "emulator, model, web server, and four functions"

    another.process.send_signal(number)

    assert another.process.wait(timeout=60) == 0
    assert_nothing_is_left(another, family)


def test_make_stop_ends_the_processes_of_a_killed_stack(another: RunningStack) -> None:
    family = descendants(another)
    another.process.kill()
    another.process.wait(timeout=10)
    assert all(process.is_running() for process in family)

    done = command(another, "stop")

    assert not (another.folder / "stack.json").exists()
    assert not (another.folder / "token").exists()
    assert done.returncode == 0
    assert "Stopped" in done.stdout
    assert wait_for(lambda: not any(process.is_running() for process in family), 20)


def _free() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
