"""The CPU time of warm calls of the tasks, with AWS answering at the HTTP layer.

`totalCpuMs` is the whole call of the handler. `cpuMs` is our own share: the total less the time of the same
botocore calls alone, in the same process. A real call also costs TLS and socket work, which is not included.
"""

import json
import tempfile
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from benchmarks.functions.artifact import artifact
from benchmarks.functions.environment import Function, functions, run_python
from benchmarks.results import Measurements
from local.settings import PROJECT

_WORKER = Path(__file__).with_name("warm_worker.py")
_ANSWER = Path(__file__).with_name("answer.json")
# The events that take a ticket through the pipeline.
_EVENTS = {
    "store": "store/billing",
    "classify": "classify/billing",
    "update": "update/analysis",
    "notify": "notify/processed",
}


def measure(rounds: int = 5) -> Measurements:
    """Measure `warm.<task>.cpuMs` and `.totalCpuMs`, and what one call does: `.logBytes`, `.calls.<name>`."""
    folder = artifact()
    tasks = [function for function in functions() if function.key in _EVENTS]
    measurements = defaultdict[str, list[float]](list)
    with tempfile.TemporaryDirectory() as temporary:
        answers = Path(temporary) / "answers.json"
        answers.write_text(json.dumps(_answers()))
        for _ in range(rounds):
            for task in tasks:
                result = _run(folder, task, answers)
                key = f"warm.{task.key}"
                measurements[f"{key}.cpuMs"].append(result["totalCpuMs"] - result["servicesCpuMs"])
                measurements[f"{key}.totalCpuMs"].append(result["totalCpuMs"])
                measurements[f"{key}.logBytes"].append(result["logBytes"])
                for operation, count in result["calls"].items():
                    measurements[f"{key}.calls.{operation}"].append(count)
    return dict(measurements)


def _run(folder: Path, task: Function, answers: Path) -> dict[str, Any]:
    event = PROJECT / "events" / f"{_EVENTS[task.key]}.json"
    output = run_python(folder, task.variables, str(_WORKER), task.module, str(event), str(answers))
    return dict(json.loads(output))


def _answers() -> dict[str, str]:
    """AWS's answers by service and operation: the body of an HTTP response."""
    event = (PROJECT / "events" / "notify" / "processed.json").read_text()
    ticket = json.loads(event, parse_float=Decimal)["ticket"] | {"version": 2}
    item = {name: TypeSerializer().serialize(value) for name, value in ticket.items()}
    call = {"toolUseId": "tooluse_1", "name": "record_analysis", "input": json.loads(_ANSWER.read_text())}
    return {
        "dynamodb.PutItem": "{}",
        "dynamodb.GetItem": json.dumps({"Item": item}),
        "dynamodb.UpdateItem": json.dumps({"Attributes": item}),
        "ssm.GetParameter": json.dumps({"Parameter": {"Name": "review-threshold", "Value": "0.6"}}),
        "bedrock-runtime.Converse": json.dumps(
            {
                "output": {"message": {"role": "assistant", "content": [{"toolUse": call}]}},
                "stopReason": "tool_use",
                "usage": {"inputTokens": 1000, "outputTokens": 150, "totalTokens": 1150},
                "metrics": {"latencyMs": 900},
            }
        ),
        "sns.Publish": "<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult>"
        "</PublishResponse>",
    }
