import sysconfig
from collections.abc import Iterator

import pytest

from devtools.emulator.tests.harness import Emulator, running

# What a developer may have set, and no function may see.
DEVELOPERS = {"PYTHONPATH": sysconfig.get_path("purelib"), "TZ": "Asia/Tokyo", "LC_ALL": "C", "EDITOR": "vi"}


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    settings = {"LAMBDA_WORKERS": "3", "SFN_WAIT_SCALE": "0.01", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    with running(tmp_path_factory.mktemp("emulator"), **settings, **DEVELOPERS) as emulator:
        yield emulator
