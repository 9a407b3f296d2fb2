"""One run of chaos: a stack of its own, a storm, the recovery from it, and the verdict."""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import psutil

from devtools.chaos.customers import send_all
from devtools.chaos.fault_injection import Storm
from devtools.chaos.pipeline import Pipeline
from devtools.chaos.plan import Plan
from devtools.chaos.proxy import SERVICES
from devtools.chaos.recovery import Recovery
from devtools.chaos.tickets import submissions
from devtools.chaos.verdict import Found, Verdict, judge
from devtools.load.submission import Submission
from devtools.model.triage import Triage
from local.embedded_aws import EmbeddedAws
from local.processes import ProcessGroup, free_port, registered
from local.run import process_group, say, start
from local.settings import HOST, Settings

_RECOVERY_SECONDS = 900
_RECEIVED_AGAIN_SECONDS = 45
# Nearer to AWS than the emulator's defaults: there, other functions start while some are held up by faults.
_CAPACITY = {"LAMBDA_WORKERS": "8"}
# The proxy signs the functions' calls again, as the root user. Who may do what is the other tests' matter.
_WITHOUT_ROLES = {"AUTH": "false"}


def run(plan: Plan, folder: Path) -> Verdict:
    """Start a stack in the folder, have the storm over it, stop it, and judge.

    What led to a bad verdict is in the folder's evidence.json; the logs are beside it.

    Raises:
        StackError: the stack could not be started.
    """
    settings = Settings(port=free_port(), emulator_port=free_port(), folder=folder)
    with process_group(settings) as group:
        aws = EmbeddedAws.with_new_key(settings.endpoint_url)
        proxy_url = _start_proxy(aws, group)
        endpoints = {f"AWS_ENDPOINT_URL_{name.upper()}": f"{proxy_url}/{name}" for name in SERVICES}
        stack = start(settings, group, aws, endpoints | _CAPACITY | _WITHOUT_ROLES)
        pipeline = Pipeline(stack, folder)
        pipeline.receive_again_after(_RECEIVED_AGAIN_SECONDS)
        storm = Storm(plan, proxy_url, stack.model_url, _emulator(folder), group)
        sent = submissions(plan)
        accepted = asyncio.run(_play(storm, sent, pipeline))
        recovery = Recovery(pipeline, accepted.keys())
        recovery_seconds = recovery.run(_RECOVERY_SECONDS)
        verdict = judge(
            Found(
                seed=plan.seed,
                sent=sent,
                accepted=accepted,
                stored=pipeline.tickets(),
                announcements=pipeline.announcements(),
                waiting=pipeline.waiting(),
                readings=_readings(sent),
                restarts=recovery.restarts,
                failed=recovery.failed,
                model_calls=httpx.get(f"{stack.model_url}/calls", trust_env=False).json()["total"],
                recovery_seconds=recovery_seconds,
            )
        )
        _keep_evidence(folder / "evidence.json", verdict, pipeline)
    return verdict


def _start_proxy(aws: EmbeddedAws, group: ProcessGroup) -> str:
    url = f"http://{HOST}:{free_port()}"
    port = url.rpartition(":")[2]
    arguments = ["--port", port, "--target", aws.endpoint_url]
    group.start("proxy", "devtools.chaos.proxy", *arguments, environment=aws.environment())
    group.wait_until_healthy("proxy", f"{url}/healthz")
    return url


def _emulator(folder: Path) -> psutil.Process:
    return next(process for process in registered(folder) if "devtools.emulator" in process.cmdline())


async def _play(storm: Storm, submissions: Sequence[Submission], pipeline: Pipeline) -> dict[str, Submission]:
    """Send everything into the storm; return what was accepted, by ticket id."""
    say("The storm begins.")
    began = time.monotonic()
    async with storm.raging():
        accepted = await send_all(storm.plan, submissions, pipeline.front_door_url, pipeline.token)
        await _until_idle(pipeline, storm.plan.tail_seconds)
    say(
        f"The storm is over after {time.monotonic() - began:.0f} s: {len(accepted)} of {len(submissions)} "
        f"tickets accepted, functions killed {storm.killed} times, calls {json.dumps(await storm.counts())}"
    )
    return accepted


async def _until_idle(pipeline: Pipeline, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(pipeline.is_idle):
                await asyncio.sleep(0.2)


def _readings(sent: Iterable[Submission]) -> dict[str, dict[str, Any]]:
    """What the rules say to each text."""
    triage = Triage()
    return {one.key: asdict(triage.analyse(one.subject or "", one.content)) for one in sent}


def _keep_evidence(path: Path, verdict: Verdict, pipeline: Pipeline) -> None:
    path.unlink(missing_ok=True)
    if verdict.offending:
        path.write_text(json.dumps(pipeline.evidence(verdict.offending), indent=2, default=str))
