"""Deploying the template to the emulator, with the same sam command as to a real account."""

import json
from fcntl import LOCK_SH

from local.build import BUILD, build_lock
from local.emulator import Emulator
from local.sam import sam
from local.settings import PROJECT, REGION, Settings
from local.stack import Stack

STACK_NAME = "support-pipeline-local"
STAGE = "local"
_BUCKET = "deployment-artifacts"


def deploy(settings: Settings, emulator: Emulator) -> dict[str, str]:
    """Deploy the build; return the stack's outputs.

    Raises:
        StackError: the deployment failed.
    """
    emulator.client("s3").create_bucket(Bucket=_BUCKET)
    # The emulator does not have query definitions.
    parameters = {
        "Stage": STAGE,
        "AllowedOrigin": settings.web_url,
        "LogQueries": "none",
        **settings.parameters,
    }
    with build_lock(LOCK_SH):
        sam(
            settings,
            emulator,
            "deploy",
            # sam would look for it beside the built template.
            "--config-file", str(PROJECT / "samconfig.toml"),
            "--config-env", "local",
            "--template-file", str(BUILD / "template.yaml"),
            "--stack-name", STACK_NAME,
            "--s3-bucket", _BUCKET,
            "--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items()),
            "--no-progressbar",
        )  # fmt: skip
    (stack,) = emulator.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def connect(settings: Settings, emulator: Emulator, outputs: dict[str, str], model_url: str) -> Stack:
    """Subscribe an inbox to the notifications and a mailbox to the mails; return the deployed stack."""
    return Stack(
        api_url=f"{emulator.endpoint_url}/_aws/execute-api/{outputs['ApiId']}/{STAGE}",
        endpoint_url=emulator.endpoint_url,
        access_key_id=emulator.access_key_id,
        secret_access_key=emulator.secret_access_key,
        web_url=settings.web_url,
        region=REGION,
        stack_name=STACK_NAME,
        state_machine_arn=outputs["StateMachineArn"],
        tickets_table=outputs["TicketsTable"],
        support_topic_arn=outputs["SupportTopicArn"],
        failure_topic_arn=outputs["FailureTopicArn"],
        failed_tickets_queue_url=outputs["FailedTicketsQueueUrl"],
        waiting_room_url=outputs["WaitingRoomQueueUrl"],
        state_machine_log_group=outputs["StateMachineLogGroup"],
        inbox_queue_url=_subscribe_queue(emulator, "support-inbox", outputs["SupportTopicArn"], raw=True),
        # Not raw: a mail needs its subject line.
        mailbox_queue_url=_subscribe_queue(emulator, "mailbox", outputs["MailTopicArn"], raw=False),
        user_pool_id=outputs["UserPoolId"],
        user_pool_client_id=outputs["UserPoolClientId"],
        service_client_policy_arn=outputs["ServiceClientPolicyArn"],
        usage_plan_id=outputs["UsagePlanId"],
        model_url=model_url,
    )


def _subscribe_queue(emulator: Emulator, name: str, topic: str, *, raw: bool) -> str:
    """Subscribe a new SQS queue to a topic, without SNS's envelope if raw; return the queue's URL."""
    sqs = emulator.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(_queue_policy(arn))})
    emulator.client("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": str(raw).lower()},
    )
    return str(url)


def _queue_policy(queue_arn: str) -> dict[str, object]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
