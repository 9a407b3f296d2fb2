"""Emulators that the test modules share: each pytest process starts one of each kind at most."""

import sysconfig
from collections.abc import Iterator

import pytest

from devtools.emulator.tests.harness import ROLE, Emulator, running

# Variables that a developer may have set, and that must not reach a function.
DEVELOPER_ENVIRONMENT = {
    "PYTHONPATH": sysconfig.get_path("purelib"),
    "TZ": "Asia/Tokyo",
    "LC_ALL": "C",
    "EDITOR": "vi",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator with three workers for each function and short waits in state machines."""
    settings = {"LAMBDA_WORKERS": "3", "SFN_WAIT_SCALE": "0.01", **DEVELOPER_ENVIRONMENT}
    with running(tmp_path_factory.mktemp("emulator"), **settings) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def authorizing_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that checks signatures and permissions (AUTH=true)."""
    with running(tmp_path_factory.mktemp("authorizing"), AUTH="true") as emulator:
        emulator.create_role(ROLE.rpartition("/")[2])
        yield emulator
