"""The emulator's process: how it starts and stops."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import psutil
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from devtools.emulator import worker_limit
from devtools.emulator.tests.harness import REGION, ROOT_ENVIRONMENT, Emulator, eventually, running

BUSY = """
import pathlib, time
def handler(event, context):
    pathlib.Path(event["marker"]).touch()
    time.sleep(600)
"""


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_emulator_and_its_workers_and_removes_its_files(
    tmp_path: Path, signal_number: signal.Signals
) -> None:
    with running(tmp_path) as emulator:
        function = emulator.create_function(BUSY, timeout=600)
        arn = f"arn:aws:lambda:{REGION}:000000000000:function:{function}"
        task = {"Type": "Task", "Resource": arn, "TimeoutSeconds": 600, "End": True}
        task["Retry"] = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 99}]
        machine = emulator.create_state_machine({"StartAt": "T", "States": {"T": task}})
        start = emulator.client("stepfunctions").start_execution
        start(stateMachineArn=machine, input=f'{{"marker": "{tmp_path}/executed"}}')

        def invoke() -> None:
            with pytest.raises((BotoCoreError, ClientError, AssertionError)):
                assert emulator.invoke(function, {"marker": f"{tmp_path}/invoked"})[0] is None

        caller = Thread(target=invoke)
        caller.start()
        eventually(lambda: (tmp_path / "executed").exists() and (tmp_path / "invoked").exists())
        workers = emulator.worker_pids()
        assert len(workers) == 2
        assert emulator.stop(signal_number) == 0
        caller.join()
        assert not [pid for pid in workers if psutil.pid_exists(pid)]
        assert list(emulator.temporary_folder.iterdir()) == []


def test_functions_get_the_endpoint_of_the_emulator(emulator: Emulator) -> None:
    function = emulator.create_function(
        "import os\ndef handler(event, context):\n    return os.environ['AWS_ENDPOINT_URL']"
    )
    assert emulator.invoke(function) == (None, emulator.url)


def test_it_listens_on_loopback_only(emulator: Emulator) -> None:
    connections = psutil.Process(emulator.process.pid).net_connections("tcp")
    listening = {tuple(one.laddr) for one in connections if one.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", emulator.port)}


def test_it_takes_no_arguments(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "devtools.emulator", "--detach"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "takes no arguments" in ended.stderr


def test_another_release_of_the_emulator_does_not_start(tmp_path: Path) -> None:
    program = "from devtools.emulator import __main__, patch; patch.TESTED_VERSION = '0.1'; __main__.main()"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **ROOT_ENVIRONMENT, "EMULATOR_TMP": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("devtools/emulator was tested with ministack 0.1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", ["0", "-1", "many"])
def test_an_invalid_number_of_workers_is_refused(monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    monkeypatch.setenv("LAMBDA_WORKERS", workers)
    with pytest.raises(ValueError, match=r"LAMBDA_WORKERS|invalid literal"):
        worker_limit.install()
