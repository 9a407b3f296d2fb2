"""Functions run in Lambda's runtime, without access to the development environment."""

import sysconfig
import tomllib
from pathlib import Path

import pytest

from devtools.emulator.tests.harness import Emulator

PROJECT = Path(__file__).parents[3]

FUNCTION = """
import importlib, os, sys, time

def handler(event, context):
    if event is None:
        return {"environment": dict(os.environ), "path": sys.path, "timezone": time.tzname[0],
                "file": os.path.realpath(__file__), "home exists": os.path.exists(os.path.expanduser("~"))}
    return importlib.import_module(event).__version__
"""


@pytest.fixture(scope="module")
def function(emulator: Emulator) -> str:
    return emulator.create_function(FUNCTION, Environment={"Variables": {"TABLE": "tickets"}})


def test_boto3_has_the_version_of_lambdas_runtime(emulator: Emulator, function: str) -> None:
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
    (requirement,) = groups["lambda-runtime"]
    assert emulator.invoke(function, "boto3") == (None, requirement.removeprefix("boto3=="))


@pytest.mark.parametrize(
    "package", ["httpx", "moto", "awscli", "awscrt", "ministack", "local", "support", "aws_lambda_powertools"]
)
def test_packages_of_the_development_environment_cannot_be_imported(
    emulator: Emulator, function: str, package: str
) -> None:
    kind, error = emulator.invoke(function, package)
    assert (kind, error["errorType"]) == ("Unhandled", "ModuleNotFoundError")


def test_the_developers_environment_variables_are_not_passed_on(emulator: Emulator, function: str) -> None:
    _, runtime = emulator.invoke(function)
    prefixes = ("AWS_", "_LAMBDA_", "_MINISTACK_", "LAMBDA_TASK_ROOT")
    names = {name for name in runtime["environment"] if not name.startswith(prefixes)}
    assert names == {"HOME", "LANG", "PATH", "TMPDIR", "TZ", "TABLE"}
    assert (runtime["timezone"], runtime["home exists"]) == ("UTC", False)
    assert sysconfig.get_path("purelib") not in runtime["path"]


def test_functions_with_the_same_package_share_its_files(emulator: Emulator, function: str) -> None:
    same, other = emulator.create_function(FUNCTION), emulator.create_function(f"{FUNCTION}\n# changed")

    files = [emulator.invoke(name)[1]["file"] for name in (function, same, other)]

    assert files[0] == files[1] != files[2]
