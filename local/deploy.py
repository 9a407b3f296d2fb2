"""Building and deploying the template to the embedded AWS, by the same sam commands as to a real account."""

import hashlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path

from infra.assemble import write_whole_template
from local.embedded_aws import EmbeddedAws
from local.private_files import open_private
from local.processes import error_of, run_to_end
from local.settings import REGION, Settings, StackError
from local.state import Stack

PROJECT = Path(__file__).parent.parent
STACK_NAME = "support-pipeline-local"
STAGE = "local"
_BUCKET = "deployment-artifacts"
_BUILT = PROJECT / ".local" / "build"


def build(settings: Settings, aws: EmbeddedAws) -> None:
    """Build the functions, unless nothing changed since the last build, which may be another stack's.

    Raises:
        StackError: the build failed.
    """
    stamp = _BUILT.with_suffix(".sha256")
    stamp.parent.mkdir(exist_ok=True)
    # Other stacks build here, too, and wherever it builds to, sam keeps files for all in .aws-sam.
    with _locked(LOCK_EX):
        fingerprint = _fingerprint()
        if stamp.exists() and stamp.read_text() == fingerprint and _BUILT.exists():
            return
        stamp.unlink(missing_ok=True)
        template = str(write_whole_template())
        _sam(settings, aws, "build", "--template-file", template, "--build-dir", str(_BUILT))
        stamp.write_text(fingerprint)


@contextmanager
def _locked(kind: int) -> Iterator[None]:
    """Hold what is built: several stacks may read it at a time (LOCK_SH), and one may write it (LOCK_EX)."""
    with _BUILT.with_suffix(".lock").open("w") as file:
        flock(file, kind)
        yield


def deploy(settings: Settings, aws: EmbeddedAws) -> dict[str, str]:
    """Deploy what was built; return the stack's outputs.

    Raises:
        StackError: the deployment failed.
    """
    aws.client("s3").create_bucket(Bucket=_BUCKET)
    parameters = {"Stage": STAGE, "AllowedOrigin": settings.front_door_url, **settings.parameters}
    with _locked(LOCK_SH):
        _sam(
            settings,
            aws,
            "deploy",
            # sam would look for it beside the built template.
            "--config-file", str(PROJECT / "samconfig.toml"),
            "--config-env", "local",
            "--template-file", str(_BUILT / "template.yaml"),
            "--stack-name", STACK_NAME,
            "--s3-bucket", _BUCKET,
            "--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items()),
            "--no-progressbar",
        )  # fmt: skip
    (stack,) = aws.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def describe(settings: Settings, aws: EmbeddedAws, outputs: dict[str, str], model_url: str) -> Stack:
    """The deployed stack, with an inbox that receives every announcement, and a mailbox for the mails."""
    return Stack(
        api_url=f"{aws.endpoint_url}/_aws/execute-api/{outputs['ApiId']}/{STAGE}",
        endpoint_url=aws.endpoint_url,
        access_key_id=aws.access_key_id,
        secret_access_key=aws.secret_access_key,
        front_door_url=settings.front_door_url,
        region=REGION,
        stack_name=STACK_NAME,
        state_machine_arn=outputs["StateMachineArn"],
        tickets_table=outputs["TicketsTable"],
        support_topic_arn=outputs["SupportTopicArn"],
        failure_topic_arn=outputs["FailureTopicArn"],
        failed_tickets_queue_url=outputs["FailedTicketsQueueUrl"],
        waiting_room_url=outputs["WaitingRoomQueueUrl"],
        state_machine_log_group=outputs["StateMachineLogGroup"],
        inbox_queue_url=_subscribed_queue(aws, "support-inbox", outputs["SupportTopicArn"], raw=True),
        # Not raw: the subject line is part of a mail.
        mailbox_queue_url=_subscribed_queue(aws, "mailbox", outputs["MailTopicArn"], raw=False),
        user_pool_id=outputs["UserPoolId"],
        user_pool_client_id=outputs["UserPoolClientId"],
        service_client_policy_arn=outputs["ServiceClientPolicyArn"],
        usage_plan_id=outputs["UsagePlanId"],
        model_url=model_url,
    )


def _subscribed_queue(aws: EmbeddedAws, name: str, topic: str, *, raw: bool) -> str:
    """The URL of a new SQS queue that gets what is published to a topic, with or without SNS's envelope."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},'
        f'"Action":"sqs:SendMessage","Resource":"{arn}"}}]}}'
    )
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    aws.client("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": str(raw).lower()},
    )
    return str(url)


def _sam(settings: Settings, aws: EmbeddedAws, command: str, *arguments: str) -> None:
    sam = shutil.which("sam", path=str(Path(sys.executable).parent))
    if sam is None:
        raise StackError(
            "sam is missing from the virtual environment: make it again with `make clean .venv`."
        )
    log = settings.folder / f"{command}.log"
    environment = aws.environment() | {
        "SAM_CLI_TELEMETRY": "0",
        # Seconds between two looks at a deployment: sam takes 5, so as not to be throttled by AWS.
        "SAM_CLI_POLL_DELAY": "0.2",
        "TMPDIR": str(settings.temporary),
    }
    with open_private(log) as output:
        code = run_to_end([sam, command, *arguments], cwd=PROJECT, environment=environment, output=output)
    if code:
        raise StackError(f"`sam {command}` failed: {error_of(log)}")


def _fingerprint() -> str:
    """Changes whenever something changes that a build depends on."""
    digest = hashlib.sha256(sys.version.encode())
    sources = [PROJECT / "template.yaml", PROJECT / "samconfig.toml"]
    for folder in ("api", "functions", "infra", "statemachine"):
        sources += sorted(path for path in (PROJECT / folder).rglob("*") if _is_source(path))
    for path in sources:
        digest.update(f"{path.relative_to(PROJECT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path)
