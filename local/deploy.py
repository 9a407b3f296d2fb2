"""Building and deploying template.yaml to the embedded AWS, by the same sam commands as to a real account."""

import hashlib
import shutil
import sys
from pathlib import Path

from local.processes import last_words, run_to_end
from local.settings import REGION, Settings, StackError, aws_environment
from local.state import Stack, local_client

PROJECT = Path(__file__).parent.parent
STACK_NAME = "support-pipeline-local"
STAGE = "local"
_BUCKET = "deployment-artifacts"


def build(settings: Settings) -> None:
    """Build the functions, unless nothing changed since the last build.

    Raises:
        StackError: the build failed.
    """
    stamp = settings.folder / "build.sha256"
    fingerprint = _fingerprint()
    if stamp.exists() and stamp.read_text() == fingerprint and _built_template(settings).exists():
        return
    stamp.unlink(missing_ok=True)
    _sam(settings, "build", "--build-dir", str(settings.folder / "build"))
    stamp.write_text(fingerprint)


def deploy(settings: Settings) -> dict[str, str]:
    """Deploy what was built; return the stack's outputs.

    Raises:
        StackError: the deployment failed.
    """
    s3 = local_client("s3", settings.endpoint_url, REGION)
    s3.create_bucket(Bucket=_BUCKET)
    _sam(
        settings,
        "deploy",
        # sam would look for it beside the built template.
        "--config-file", str(PROJECT / "samconfig.toml"),
        "--config-env", "local",
        "--template-file", str(_built_template(settings)),
        "--stack-name", STACK_NAME,
        "--s3-bucket", _BUCKET,
        "--parameter-overrides", f"Stage={STAGE}", f"AllowedOrigin={settings.front_door_url}",
        "--no-progressbar",
    )  # fmt: skip
    cloudformation = local_client("cloudformation", settings.endpoint_url, REGION)
    (stack,) = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def describe(settings: Settings, outputs: dict[str, str], model_url: str) -> Stack:
    """The deployed stack, with an inbox that receives every announcement."""
    return Stack(
        api_url=f"{settings.endpoint_url}/_aws/execute-api/{outputs['ApiId']}/{STAGE}",
        endpoint_url=settings.endpoint_url,
        front_door_url=settings.front_door_url,
        region=REGION,
        stack_name=STACK_NAME,
        state_machine_arn=outputs["StateMachineArn"],
        tickets_table=outputs["TicketsTable"],
        support_topic_arn=outputs["SupportTopicArn"],
        failure_topic_arn=outputs["FailureTopicArn"],
        failed_tickets_queue_url=outputs["FailedTicketsQueueUrl"],
        replay_queue_url=outputs["ReplayQueueUrl"],
        state_machine_log_group=outputs["StateMachineLogGroup"],
        inbox_queue_url=_inbox(settings, outputs["SupportTopicArn"]),
        user_pool_id=outputs["UserPoolId"],
        user_pool_client_id=outputs["UserPoolClientId"],
        service_client_policy_arn=outputs["ServiceClientPolicyArn"],
        usage_plan_id=outputs["UsagePlanId"],
        model_url=model_url,
    )


def _inbox(settings: Settings, support_topic: str) -> str:
    """An SQS queue that stands for the support team's mailbox."""
    sqs = local_client("sqs", settings.endpoint_url, REGION)
    url = sqs.create_queue(QueueName="support-inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},'
        f'"Action":"sqs:SendMessage","Resource":"{arn}"}}]}}'
    )
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    local_client("sns", settings.endpoint_url, REGION).subscribe(
        TopicArn=support_topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    return str(url)


def _built_template(settings: Settings) -> Path:
    return settings.folder / "build" / "template.yaml"


def _sam(settings: Settings, command: str, *arguments: str) -> None:
    sam = shutil.which("sam", path=str(Path(sys.executable).parent))
    if sam is None:
        raise StackError(
            "sam is missing from the virtual environment: make it again with `make clean .venv`."
        )
    log = settings.folder / f"{command}.log"
    environment = aws_environment(settings.endpoint_url) | {
        "SAM_CLI_TELEMETRY": "0",
        # Seconds between two looks at a deployment: sam takes 5, so as not to be throttled by AWS.
        "SAM_CLI_POLL_DELAY": "0.2",
        "TMPDIR": str(settings.temporary),
    }
    with log.open("wb") as output:
        code = run_to_end([sam, command, *arguments], cwd=PROJECT, environment=environment, output=output)
    if code:
        raise StackError(f"`sam {command}` failed: {last_words(log)}")


def _fingerprint() -> str:
    """Changes whenever something changes that a build depends on."""
    digest = hashlib.sha256(sys.version.encode())
    sources = [PROJECT / "template.yaml", PROJECT / "samconfig.toml"]
    for folder in ("api", "functions", "statemachine"):
        sources += sorted(path for path in (PROJECT / folder).rglob("*") if _is_source(path))
    for path in sources:
        digest.update(f"{path.relative_to(PROJECT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path)
