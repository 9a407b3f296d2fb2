"""The make targets, typed as their users type them: one sentence, and make's own exit code."""

import json
import os
import subprocess
from pathlib import Path

import psutil
import pytest

from local.processes import free_port
from local.stack import Stack

PROJECT = Path(__file__).parents[2]
NO_STACK = "No local stack is running. Start one with `make run`, or name a deployed one with STACK=.\n"


def shell(script: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a script with `sh` in the project's folder, without the settings of a make that runs the tests."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE", "MFLAGS"))
    }
    return subprocess.run(
        ["sh", "-c", script], cwd=PROJECT, env=kept | environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def dead_stack(tmp_path: Path) -> Path:
    """The folder of a stack that was killed: its files are still there."""
    fields = dict.fromkeys(Stack.__dataclass_fields__, "here")
    addresses = {
        "endpoint_url": f"http://127.0.0.1:{free_port()}",
        "region": "us-east-1",
        "stack_name": "local",
    }
    stack = Stack(**fields | addresses)
    stack.save(tmp_path)
    stack.save_shell_settings(tmp_path)
    (tmp_path / "processes.json").write_text(json.dumps({"1": 0.0}))
    for name in ("token", "passwords.json"):
        (tmp_path / name).write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        *("replay", "recover", "rollback", "verify-aws", "sweep", "digest", "cost", "corrections", "console"),
        *("ticket TICKET=t", "trace TICKET=t", "dismiss TICKET=t REASON=r"),
    ],
)
def test_without_a_stack_make_prints_one_sentence_and_the_commands_exit_code(
    tmp_path: Path, command: str
) -> None:
    done = shell(f"make {command} STACK_DIR={tmp_path}")

    sentence, line_of_make = done.stderr.splitlines(keepends=True)
    assert (done.returncode, done.stdout, sentence) == (2, "", NO_STACK)
    assert line_of_make.startswith("make: *** ")
    assert line_of_make.rstrip().endswith("Error 2")


@pytest.mark.parametrize("command", ["token", "mail", "invoke TASK=classify EVENT=billing"])
def test_a_stack_that_was_killed_is_not_running(dead_stack: Path, command: str) -> None:
    done = shell(f"make -s {command} STACK_DIR={dead_stack}")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == "No local stack is running: start one with `make run`."
    assert "Traceback" not in done.stderr


def test_make_stop_removes_what_a_stack_that_was_killed_left_behind(dead_stack: Path) -> None:
    done = shell(f"make -s stop STACK_DIR={dead_stack}")

    assert (done.returncode, done.stdout) == (0, "No local stack is running.\n")
    assert [path.name for path in dead_stack.iterdir()] == ["bin"], (
        "the `aws` of a shell that has sourced aws.env"
    )


@pytest.mark.parametrize(
    "command", ["deploy", "replay STACK=support-pipeline-dev", "ticket STACK=s TICKET=t"]
)
def test_in_a_shell_with_aws_env_nothing_acts_on_aws(dead_stack: Path, command: str) -> None:
    done = shell(f". {dead_stack}/aws.env && make -s {command}")

    assert (done.returncode, done.stdout) == (2, "")
    sentence, line_of_make = done.stderr.splitlines()
    assert sentence.startswith("AWS_ENDPOINT_URL is set, so this is not AWS but http://127.0.0.1:")
    assert ": open a new terminal to use AWS." in sentence
    assert line_of_make.endswith("Error 2")


def test_in_a_shell_with_aws_env_a_command_without_stack_acts_on_the_local_stack(dead_stack: Path) -> None:
    done = shell(
        f"export STACK=support-pipeline-dev; . {dead_stack}/aws.env; make replay STACK_DIR={dead_stack}"
    )

    assert done.stderr.startswith(NO_STACK)


def test_make_deploy_without_a_region_or_credentials_prints_one_sentence() -> None:
    nothing = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    without_region = shell("make -s deploy", **nothing)
    without_credentials = shell("make -s deploy", **nothing, AWS_DEFAULT_REGION="eu-west-1")

    assert without_region.stderr.startswith("No AWS region is set: set AWS_DEFAULT_REGION, ")
    assert without_credentials.stderr.startswith("AWS credentials are missing: ")
    for done in (without_region, without_credentials):
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 2)


def test_make_clean_refuses_while_a_stack_is_running(tmp_path: Path) -> None:
    # A copy of the project's Makefile, in a folder with nothing to lose.
    (tmp_path / "Makefile").write_text((PROJECT / "Makefile").read_text())
    (tmp_path / ".venv").symlink_to(PROJECT / ".venv")
    folder = tmp_path / ".local"
    folder.mkdir()
    this_process = psutil.Process()
    processes = {str(this_process.pid): this_process.create_time()}
    (folder / "processes.json").write_text(json.dumps(processes))
    clean = f"make -s -C {tmp_path} clean"

    refused = shell(clean, PYTHONPATH=str(PROJECT))
    is_kept = (folder / "processes.json").exists() and (tmp_path / ".venv").exists()
    (folder / "processes.json").write_text("{}")
    done = shell(clean, PYTHONPATH=str(PROJECT))

    assert refused.returncode == 2
    assert refused.stdout == f"A local stack is running from {folder}: stop it first with `make stop`.\n"
    assert is_kept
    assert (done.returncode, done.stdout, folder.exists()) == (0, "", False)


def test_make_clean_needs_no_working_environment(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text((PROJECT / "Makefile").read_text())
    (tmp_path / ".local").mkdir()

    done = shell(f"make -s -C {tmp_path} clean")

    assert (done.returncode, (tmp_path / ".local").exists()) == (0, False)
