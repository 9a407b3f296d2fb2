"""One run: start a stack, send tickets under faults, recover, and evaluate."""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from devtools.chaos.customers import send_all
from devtools.chaos.fault_injector import FaultInjector
from devtools.chaos.pipeline import ChaosPipeline
from devtools.chaos.plan import ChaosPlan
from devtools.chaos.proxy import SERVICES
from devtools.chaos.recovery import Recovery
from devtools.chaos.report import Observations, evaluate
from devtools.chaos.tickets import create_submissions
from devtools.load.customers import Customers, Submission
from devtools.load.model import Model
from devtools.load.report import Report
from devtools.model.triage import Triage
from local.console import echo
from local.emulator import Emulator
from local.processes import ProcessGroup, free_port, running_processes
from local.settings import HOST, Settings
from local.start import process_group, start

_RECOVERY_SECONDS = 900
_VISIBILITY_TIMEOUT_SECONDS = 45
# Above the emulator's default: on AWS, other processes of a function start while faults block some.
_CAPACITY = {"LAMBDA_WORKERS": "8"}
# The proxy signs the functions' calls again, as the root user. Other tests check the roles.
_WITHOUT_ROLES = {"AUTH": "false"}


def run(plan: ChaosPlan, folder: Path) -> Report:
    """Start a stack in the folder, inject faults, recover, stop the stack, and evaluate.

    If the promise was broken, evidence.json in the folder holds what is known of the offending tickets.

    Raises:
        StackError: the stack could not be started.
    """
    settings = Settings(port=free_port(), emulator_port=free_port(), folder=folder)
    with process_group(settings) as group:
        emulator = Emulator.with_random_key(settings.endpoint_url)
        proxy_url = _start_proxy(emulator, group)
        endpoints = {f"AWS_ENDPOINT_URL_{name.upper()}": f"{proxy_url}/{name}" for name in SERVICES}
        stack = start(settings, group, emulator, endpoints | _CAPACITY | _WITHOUT_ROLES)
        pipeline = ChaosPipeline(stack, folder)
        pipeline.set_visibility_timeout(_VISIBILITY_TIMEOUT_SECONDS)
        injector = FaultInjector(plan, proxy_url, Model(stack.model_url), _emulator_process(folder), group)
        customers = Customers(stack.web_url, (folder / "token").read_text())
        observed = _send_and_recover(injector, customers, pipeline)
        report = evaluate(observed)
        _write_evidence(folder / "evidence.json", report, pipeline)
    return report


def _start_proxy(emulator: Emulator, group: ProcessGroup) -> str:
    url = f"http://{HOST}:{free_port()}"
    port = url.rpartition(":")[2]
    arguments = ["--port", port, "--target", emulator.endpoint_url]
    group.start("proxy", "devtools.chaos.proxy", *arguments, environment=emulator.environment())
    group.wait_until_healthy("proxy", f"{url}/healthz")
    return url


def _emulator_process(folder: Path) -> psutil.Process:
    processes = running_processes(folder)
    return next(process for process in processes if "devtools.emulator" in process.cmdline())


def _send_and_recover(injector: FaultInjector, customers: Customers, pipeline: ChaosPipeline) -> Observations:
    submissions = create_submissions(injector.plan)
    asyncio.run(_send_under_faults(injector, customers, submissions, pipeline))
    recovery = Recovery(pipeline, customers.accepted)
    recovery_seconds = recovery.run(_RECOVERY_SECONDS)
    return Observations(
        seed=injector.plan.seed,
        sent=submissions,
        accepted=customers.accepted,
        stored=pipeline.tickets(),
        notifications=pipeline.notifications(),
        failed_tickets_queue=pipeline.failures(),
        expected_analyses=_expected_analyses(submissions),
        restarts=recovery.restarts,
        failed=recovery.failed,
        model_calls=asyncio.run(injector.model.calls())["total"],
        recovery_seconds=recovery_seconds,
    )


async def _send_under_faults(
    injector: FaultInjector,
    customers: Customers,
    submissions: Sequence[Submission],
    pipeline: ChaosPipeline,
) -> None:
    """Send everything while faults are injected."""
    echo("Injecting faults.")
    started = time.monotonic()
    async with customers, injector.active():
        await send_all(customers, injector.plan, submissions)
        await _wait_until_idle(pipeline, injector.plan.tail_seconds)
    echo(
        f"Faults stopped after {time.monotonic() - started:.0f} s: {len(customers.accepted)} of "
        f"{len(submissions)} tickets accepted, functions killed {injector.functions_killed} times, "
        f"calls {json.dumps(await injector.counts())}"
    )


async def _wait_until_idle(pipeline: ChaosPipeline, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(pipeline.is_idle):
                await asyncio.sleep(0.2)


def _expected_analyses(submissions: Iterable[Submission]) -> dict[str, dict[str, Any]]:
    """The analysis that the model stand-in's rules give each submission, by its key."""
    triage = Triage()
    return {one.key: asdict(triage.analyse(one.subject or "", one.content)) for one in submissions}


def _write_evidence(path: Path, report: Report, pipeline: ChaosPipeline) -> None:
    path.unlink(missing_ok=True)
    if report.offending:
        path.write_text(json.dumps(pipeline.evidence(report.offending), indent=2, default=str))
