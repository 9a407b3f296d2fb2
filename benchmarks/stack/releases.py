"""Releases of the pipeline on one stack: versions of the task functions, and of the state machine.

Switching to another release changes one alias, so that two can be compared run by run. Nothing else of the
stack differs between them.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.artifact import CODE
from local.build import BUILD
from local.stack import Stack

TASKS = ("store", "classify", "update", "notify")


class Releases:
    """Publishes releases, and makes one of them live."""

    def __init__(self, stack: Stack) -> None:
        self._lambda = stack.client("lambda")
        self._states = stack.client("stepfunctions")
        self._machine = stack.state_machine_arn
        self._alias = f"{self._machine}:live"
        self._functions = [stack.function_name(task) for task in TASKS]

    @contextmanager
    def live(self, code: bytes) -> Iterator[None]:
        """Publish a release with this code (a ZIP file), which is live until the block ends.

        It starts cold: no worker runs its versions yet.
        """
        alias = self._states.describe_state_machine_alias(stateMachineAliasArn=self._alias)
        versions = self.publish(code)
        try:
            yield
        finally:
            self._route(alias["routingConfiguration"])
            # This stops their workers.
            for function, version in versions.items():
                self._lambda.delete_function(FunctionName=function, Qualifier=version)

    def publish(self, code: bytes) -> dict[str, str]:
        """Make a release with this code live; return the version of each function."""
        versions = self._publish_functions(code)
        definition = self._states.describe_state_machine(stateMachineArn=self._machine)["definition"]
        for function, version in versions.items():
            definition = re.sub(rf"(?<=:function:{function}:)\d+", version, definition)
        machine = self._states.update_state_machine(
            stateMachineArn=self._machine, definition=definition, publish=True
        )
        self._route([{"stateMachineVersionArn": machine["stateMachineVersionArn"], "weight": 100}])
        return versions

    def _publish_functions(self, code: bytes) -> dict[str, str]:
        for function in self._functions:
            self._lambda.update_function_code(FunctionName=function, ZipFile=code)
        waiter = self._lambda.get_waiter("function_updated_v2")
        for function in self._functions:
            waiter.wait(FunctionName=function, WaiterConfig={"Delay": 0.2})
        return {
            function: self._lambda.publish_version(FunctionName=function)["Version"]
            for function in self._functions
        }

    def _route(self, configuration: list[dict[str, object]]) -> None:
        self._states.update_state_machine_alias(
            stateMachineAliasArn=self._alias, routingConfiguration=configuration
        )


def built_code(**more: str) -> bytes:
    """The built code, which is the same for all functions, and more modules: their sources by name."""
    folder = BUILD / CODE
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return _zip(files | {f"{name}.py": source.encode() for name, source in more.items()})


def noop_code() -> bytes:
    """Code whose tasks do nothing."""
    source = Path(__file__).with_name("noop_handler.py").read_bytes()
    return _zip({f"support/tasks/{task}.py": source for task in TASKS})


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()
