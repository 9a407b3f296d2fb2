"""The environment of a function on Lambda, and the Python processes that run in it."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from infra.assemble import whole_template
from local.settings import PROJECT

_PYTHON = PROJECT / ".venv-lambda" / "bin" / "python"
_ACCOUNT = "us-east-1:123456789012"
_QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012"

# Lambda's own variables. `devtools/emulator/function_runtime.py` names the source.
_RUNTIME = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark",
    "AWS_SESSION_TOKEN": "benchmark",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "HOME": "/home/sbx_user1051",
    "LANG": "en_US.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
    "TZ": ":UTC",
    "PYTHONDONTWRITEBYTECODE": "1",
}
# The values that the template's variables have in a deployment with the default parameters.
_VARIABLES = {
    "STAGE_NAME": "dev",
    "TOKEN_PRICES": "0.06,0.24",
    "FALLBACK_TOKEN_PRICES": "0.06,0.24",
    "ALLOWED_ORIGIN": "https://support.example.com",
    "DIGEST_QUEUE_URL": f"{_QUEUE}/digest",
    "FAILED_TICKETS_QUEUE_URL": f"{_QUEUE}/failed-tickets",
    "FAILURE_TOPIC_ARN": f"arn:aws:sns:{_ACCOUNT}:failures",
    "FALLBACK_MODEL_ID": "",
    "GUARDRAIL_ID": "",
    "GUARDRAIL_VERSION": "",
    "IMMEDIATE_MAIL_URGENCIES": "CRITICAL,HIGH",
    "MAIL_TOPIC_ARN": f"arn:aws:sns:{_ACCOUNT}:mail",
    "MAX_WAIT_HOURS": "24",
    "MIN_MAIL_SUBSCRIPTIONS": "1",
    "MODEL_ID": "amazon.nova-lite-v1:0",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "POWERTOOLS_METRICS_NAMESPACE": "SupportPipeline",
    "POWERTOOLS_SERVICE_NAME": "support-pipeline",
    "PRIORITY_WAITING_ROOM_URL": f"{_QUEUE}/priority-waiting-room",
    "REVIEW_THRESHOLD_PARAMETER": "/support-pipeline/dev/review-threshold",
    "SHOW_DRAFTS": "confident",
    "STATE_MACHINE_ARN": f"arn:aws:states:{_ACCOUNT}:stateMachine:ticket-pipeline:live",
    "SUPPORT_TOPIC_ARN": f"arn:aws:sns:{_ACCOUNT}:support",
    "SWEEP_AFTER_SECONDS_PARAMETER": "/support-pipeline/dev/sweep-after-seconds",
    "TICKETS_TABLE": "support-pipeline-dev-tickets",
    "TICKET_RETENTION_DAYS": "0",
    "WAITING_ROOM_URL": f"{_QUEUE}/waiting-room",
}


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the template: the key of its figures, its handler's module, its variables and memory."""

    key: str
    module: str
    variables: dict[str, str]
    memory_mb: int


def functions() -> Iterator[Function]:
    """The functions of the template.

    Raises:
        KeyError: the template has a variable that has no value here.
    """
    template = whole_template()
    shared = template["Globals"]["Function"]
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            names = [*shared["Environment"]["Variables"], *properties["Environment"]["Variables"]]
            yield Function(
                key=_key(logical_id),
                module=properties["Handler"].rpartition(".")[0],
                variables={name: _VARIABLES[name] for name in names},
                memory_mb=properties.get("MemorySize", shared["MemorySize"]),
            )


def run_python(artifact: Path, variables: dict[str, str], *arguments: str) -> str:
    """Run Python as Lambda's runtime runs a function of the artifact; return what it writes to stderr.

    What functions log goes to stdout, a file that is discarded.

    Raises:
        CalledProcessError: the process failed.
    """
    with TemporaryFile() as log:
        return subprocess.run(
            [_PYTHON, *arguments],
            env=_RUNTIME | variables | {"PYTHONPATH": str(artifact), "LAMBDA_TASK_ROOT": str(artifact)},
            cwd=artifact,
            stdout=log,
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        ).stderr


def _key(logical_id: str) -> str:
    name = logical_id.removesuffix("Function")
    return "ticketsApi" if name == "Tickets" else name[0].lower() + name[1:]
