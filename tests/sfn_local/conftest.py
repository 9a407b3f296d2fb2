"""A Step Functions endpoint with mock_config.json: the emulator, or with --sfn-local Step Functions Local."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.processes import ProcessGroup, free_port
from local.settings import HOST

MOCK_CONFIG = Path(__file__).with_name("mock_config.json")
IMAGE = "amazon/aws-stepfunctions-local:2.0.0"
MOUNTED = "/home/StepFunctionsLocal/mock_config.json"
UNAVAILABLE = (
    "Step Functions Local is not available: start Docker, or set SFN_LOCAL_ENDPOINT to the URL of one that "
    "runs with SFN_MOCK_CONFIG=tests/sfn_local/mock_config.json."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sfn-local",
        action="store_true",
        help="run the scenarios on Step Functions Local (SFN_LOCAL_ENDPOINT or Docker), not on the emulator",
    )


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the Step Functions endpoint."""
    # Pytest knows the option only in runs that start in this folder.
    if not request.config.getoption("--sfn-local", default=False):
        with _emulator(tmp_path_factory.mktemp("emulator")) as url:
            yield url
    elif "SFN_LOCAL_ENDPOINT" in os.environ:
        yield os.environ["SFN_LOCAL_ENDPOINT"]
    elif _docker_works():
        with _container() as url:
            yield url
    else:
        pytest.skip(UNAVAILABLE)


@contextmanager
def _emulator(folder: Path) -> Iterator[str]:
    port = free_port()
    settings = {
        "GATEWAY_PORT": str(port),
        "EMULATOR_TMP": str(folder / "tmp"),
        "SFN_MOCK_CONFIG": str(MOCK_CONFIG),
        "SFN_WAIT_SCALE": "0",
    }
    group = ProcessGroup(folder)
    try:
        group.start("emulator", "devtools.emulator", environment=os.environ | settings)
        group.wait_until_healthy("emulator", f"http://{HOST}:{port}/_ministack/health")
        yield f"http://{HOST}:{port}"
    finally:
        group.stop()


def _docker_works() -> bool:
    """Whether Docker is installed and its daemon responds."""
    return bool(shutil.which("docker")) and _docker("info").returncode == 0


@contextmanager
def _container() -> Iterator[str]:
    name = f"ticket-pipeline-{uuid.uuid4().hex}"
    # Dummy credentials, so that a task without a mock cannot reach an AWS account.
    settings = {
        "SFN_MOCK_CONFIG": MOUNTED,
        "WAIT_TIME_SCALE": "0",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    environment = [f"--env={variable}={value}" for variable, value in settings.items()]
    mount = f"--mount=type=bind,readonly,source={MOCK_CONFIG},destination={MOUNTED}"
    try:
        started = _docker(
            "run", "--detach", f"--name={name}", f"--publish={HOST}::8083", mount, *environment, IMAGE
        )
        assert started.returncode == 0, started.stderr
        # Docker has chosen a free port. Example: 127.0.0.1:49153.
        yield "http://" + _docker("port", name, "8083/tcp").stdout.strip()
    finally:
        _docker("rm", "--force", "--volumes", name)


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
