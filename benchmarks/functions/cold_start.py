"""The CPU time of a cold start: the import of a handler's module with its clients, against bare boto3's.

The interpreter's own start is part of both sides. What Lambda adds before it (the download of the code, the
start of the virtual machine) cannot be measured here.
"""

import json
import resource
from collections import defaultdict
from pathlib import Path

from benchmarks.functions.artifact import artifact
from benchmarks.functions.environment import Function, functions, run_python
from benchmarks.results import Measurements

# The clients that a function has not created at import, but that its first event needs.
FIRST_EVENT_CLIENTS = {
    "store": ["dynamodb"],
    "classify": ["ssm", "bedrock_runtime"],
    "update": ["dynamodb"],
    "notify": ["dynamodb", "sns"],
    "resume": ["stepfunctions"],
    "sweep": ["dynamodb", "ssm"],
    "mail": ["sns"],
    "digest": ["sns", "sqs"],
    "ticketsApi": ["dynamodb"],
}
_FUNCTION = """
import importlib
importlib.import_module({module!r})
from support.aws import clients
for name in {names}:
    getattr(clients, name)()
"""
_LIST_CLIENTS = """
import json, sys
cached = [client for client in vars(clients).values() if hasattr(client, "cache_info")]
created = [client().meta.service_model.service_name for client in cached if client.cache_info().currsize]
sys.stderr.write(json.dumps(sorted(created)))
"""
_BARE = """
import boto3
for name in {services}:
    boto3.client(name)
"""


def measure(rounds: int = 11) -> Measurements:
    """Measure `coldStart.<function>.ratio`, `.cpuMs` and `.bareCpuMs` of every function, interleaved."""
    folder = artifact()
    handlers = {function: _program(function) for function in functions()}
    bare = {function: _bare(folder, function, program) for function, program in handlers.items()}
    measurements = defaultdict[str, list[float]](list)
    for _ in range(rounds):
        for function, program in handlers.items():
            # One right after the other, so that both find the machine in the same state.
            reference = _cpu_ms(folder, {}, bare[function])
            cpu = _cpu_ms(folder, function.variables, program)
            measurements[f"coldStart.{function.key}.ratio"].append(cpu / reference)
            measurements[f"coldStart.{function.key}.cpuMs"].append(cpu)
            measurements[f"coldStart.{function.key}.bareCpuMs"].append(reference)
    return dict(measurements)


def _program(function: Function) -> str:
    return _FUNCTION.format(module=function.module, names=FIRST_EVENT_CLIENTS[function.key])


def _bare(folder: Path, function: Function, program: str) -> str:
    """The program that creates the same clients with bare boto3. The run also warms the disk's cache."""
    services = json.loads(run_python(folder, function.variables, "-c", program + _LIST_CLIENTS))
    return _BARE.format(services=services)


def _cpu_ms(folder: Path, variables: dict[str, str], program: str) -> float:
    before = _children_cpu_seconds()
    run_python(folder, variables, "-c", program)
    return (_children_cpu_seconds() - before) * 1000


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
