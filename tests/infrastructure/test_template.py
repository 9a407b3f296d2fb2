"""The template: least privilege, nested timeouts, retained data, and names that other code relies on."""

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.aws import clients
from support.aws.index_keys import shards
from support.aws.mail_topic import SECONDS_PER_MAIL
from support.background import digest, pace
from support.domain.execution import Execution
from support.domain.mail_text import MAX_LISTED
from support.domain.ticket import timestamp
from tests.infrastructure.rendering import render

type Document = dict[str, Any]

PROJECT = Path(__file__).parents[2]
PARTS = sorted(f"infra/parts/{path.name}" for path in (PROJECT / "infra" / "parts").glob("*.yaml"))
TASKS = {
    "StoreFunction": "Store Ticket",
    "ClassifyFunction": "Classify Ticket",
    "UpdateFunction": "Update Ticket",
    "NotifyFunction": "Notify Support",
}


def of_type(template: Document, kind: str) -> dict[str, Document]:
    return {name: r["Properties"] for name, r in template["Resources"].items() if r["Type"] == kind}


def statements(template: Document) -> list[tuple[str, Document]]:
    found = []
    for name, function in of_type(template, "AWS::Serverless::Function").items():
        found += [(name, chosen(s)) for policy in function["Policies"] for s in policy.get("Statement", [])]
    for name, role in of_type(template, "AWS::IAM::Role").items():
        found += [
            (name, chosen(s))
            for policy in role.get("Policies", [])
            for s in policy["PolicyDocument"]["Statement"]
        ]
    return found


def chosen(value: Document) -> Document:
    """The value if its condition, if there is one, is true."""
    return dict(value["Fn::If"][1]) if "Fn::If" in value else value


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_function_has_only_the_rights_that_its_step_needs(template: Document) -> None:
    rights = {
        name: sorted(
            {action for owner, s in statements(template) if owner == name for action in as_list(s["Action"])}
        )
        for name in of_type(template, "AWS::Serverless::Function")
    }
    assert rights == {
        "StoreFunction": ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
        "ClassifyFunction": ["bedrock:ApplyGuardrail", "bedrock:InvokeModel", "ssm:GetParameter"],
        "UpdateFunction": ["dynamodb:GetItem", "dynamodb:UpdateItem"],
        "NotifyFunction": ["dynamodb:GetItem", "dynamodb:UpdateItem", "sns:Publish"],
        "TicketsFunction": [
            "dynamodb:BatchGetItem",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "sqs:SendMessage",
        ],
        "ResumeFunction": [
            "dynamodb:GetItem",
            "dynamodb:UpdateItem",
            "sns:Publish",
            "sqs:SendMessage",
            "states:StartSyncExecution",
        ],
        "SweepFunction": [
            "dynamodb:GetItem",
            "dynamodb:Scan",
            "dynamodb:UpdateItem",
            "sns:Publish",
            "sqs:SendMessage",
            "ssm:GetParameter",
        ],
        "MailFunction": ["sns:GetTopicAttributes", "sns:Publish"],
        "DigestFunction": [
            "sns:GetTopicAttributes",
            "sns:Publish",
            "sqs:DeleteMessage",
            "sqs:ReceiveMessage",
        ],
    }


def test_a_statement_has_a_wildcard_only_if_aws_requires_it(template: Document) -> None:
    for owner, statement in statements(template):
        assert statement["Sid"], owner
        assert not [action for action in as_list(statement["Action"]) if "*" in action], owner
        if statement["Sid"] not in {"DeliverLogs", "Trace"}:
            assert "*" not in as_list(statement["Resource"]), owner


def test_by_default_no_guardrail_and_no_permission_for_it_is_deployed(template: Document) -> None:
    resources, classify = (
        template["Resources"],
        of_type(template, "AWS::Serverless::Function")["ClassifyFunction"],
    )
    names = {"GUARDRAIL_ID", "GUARDRAIL_VERSION"}
    values = [value for name, value in classify["Environment"]["Variables"].items() if name in names]
    (grant,) = [
        s
        for policy in classify["Policies"]
        for s in policy["Statement"]
        if chosen(s)["Sid"] == "HaveTicketsJudged"
    ]

    assert template["Parameters"]["GuardrailMode"]["Default"] == "off"
    assert [value["Fn::If"][::2] for value in values] == [["HasGuardrail", ""]] * 2
    assert grant["Fn::If"][::2] == ["HasGuardrail", {"Ref": "AWS::NoValue"}]
    assert {name for name, resource in resources.items() if resource.get("Condition") == "HasGuardrail"} == {
        "TicketGuardrail",
        "TicketGuardrailVersion",
    }


def test_the_guardrail_checks_tickets_with_the_highest_strength(template: Document) -> None:
    guardrail = template["Resources"]["TicketGuardrail"]["Properties"]
    filters = {
        f["Type"]: (f["InputStrength"], f["OutputStrength"])
        for f in guardrail["ContentPolicyConfig"]["FiltersConfig"]
    }

    assert filters.pop("PROMPT_ATTACK") == ("HIGH", "NONE")
    # A ticket of an angry customer must not be refused.
    assert set(filters.values()) == {("NONE", "HIGH")}


def test_the_state_machine_may_call_only_the_resources_in_its_definition(
    template: Document, definition: Document
) -> None:
    granted = {s["Sid"]: s for owner, s in statements(template) if owner == "TicketPipelineRole"}
    substitutions = of_type(template, "AWS::Serverless::StateMachine")["TicketPipeline"][
        "DefinitionSubstitutions"
    ]
    named = set(re.findall(r"\$\{(\w+)}", str(definition)))
    assert named == set(substitutions)
    called = [substitutions[name]["Ref"] for name in substitutions if name.endswith("FunctionArn")]
    versions = [{"Fn::Sub": f"${{{name.removesuffix('.Version')}.Arn}}:*"} for name in called]
    assert granted["InvokeTheTasks"]["Resource"] == versions
    assert substitutions["FallbackModelId"] == {
        "Fn::If": ["HasFallbackModel", {"Ref": "FallbackModelId"}, "none"]
    }
    queues = [substitutions["WaitingRoomQueueUrl"], substitutions["PriorityWaitingRoomQueueUrl"]]
    assert granted["DeferTickets"]["Resource"] == [{"Fn::GetAtt": [url["Ref"], "Arn"]} for url in queues]
    assert granted["PublishFailures"]["Resource"] == substitutions["FailureTopicArn"]


@pytest.mark.parametrize(
    "file",
    [
        "template.yaml",
        *PARTS,
        "infra/vpc-endpoints.yaml",
        "api/openapi.yaml",
        "statemachine/ticket_pipeline.asl.yaml",
    ],
)
def test_deployed_files_name_no_partition_so_that_they_work_in_china_and_govcloud(file: str) -> None:
    assert re.findall(r"arn:aws[\w-]*:.*|\barn:(?!\$\{|\[).*", (PROJECT / file).read_text()) == []


def test_each_timeout_is_longer_than_the_one_inside_it(template: Document, definition: Document) -> None:
    quick, publish = clients.dynamodb().meta.config, clients.sns().meta.config
    model = clients.bedrock_runtime().meta.config
    functions = of_type(template, "AWS::Serverless::Function")
    default = template["Globals"]["Function"]["Timeout"]
    assert seconds(quick) < default
    assert seconds(publish) < functions["NotifyFunction"].get("Timeout", default)
    parameter = clients.ssm().meta.config
    assert seconds(model) + seconds(parameter) < functions["ClassifyFunction"]["Timeout"]
    assert (len(shards()) + 1) * seconds(quick) < functions["TicketsFunction"]["Timeout"] < 29
    for function, state in TASKS.items():
        assert functions[function].get("Timeout", default) <= definition["States"][state]["TimeoutSeconds"], (
            function
        )


def test_notify_is_not_retried_while_an_earlier_call_is_running(
    template: Document, definition: Document
) -> None:
    function = template["Resources"]["NotifyFunction"]["Properties"]
    timeout = function.get("Timeout", template["Globals"]["Function"]["Timeout"])
    assert timeout < definition["States"]["Notify Support"]["TimeoutSeconds"]


def seconds(config: Any) -> float:
    return float((config.connect_timeout + config.read_timeout) * config.retries["total_max_attempts"])


@pytest.mark.parametrize("client", ["dynamodb", "sns", "sqs", "ssm", "stepfunctions", "bedrock_runtime"])
def test_no_client_uses_the_default_retries_of_the_sdk(client: str) -> None:
    retries = getattr(clients, client)().meta.config.retries
    assert retries["mode"] == "standard"
    assert retries["total_max_attempts"] in {1, 2}


def test_failed_tickets_can_be_redriven_to_the_waiting_room_and_return_if_it_fails(
    template: Document,
) -> None:
    redrive = of_type(template, "AWS::SQS::Queue")["WaitingRoomQueue"]["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["FailedTicketsQueue", "Arn"]}
    # A receive counts even if Lambda throttles the consumer.
    queue = of_type(template, "AWS::SQS::Queue")["WaitingRoomQueue"]
    hours = redrive["maxReceiveCount"] * queue["VisibilityTimeout"] / 3600
    assert hours > template["Parameters"]["MaxWaitHours"]["Default"]


def test_the_priority_queue_has_the_same_settings_as_the_waiting_room_queue(template: Document) -> None:
    resources = template["Resources"]
    assert resources["PriorityWaitingRoomQueue"] == resources["WaitingRoomQueue"]


def test_every_sender_to_the_waiting_room_may_use_both_queues(template: Document) -> None:
    both = {("WaitingRoomQueue", "Arn"), ("PriorityWaitingRoomQueue", "Arn")}
    for owner, statement in statements(template):
        queues = {tuple(one["Fn::GetAtt"]) for one in as_list(statement["Resource"]) if "Fn::GetAtt" in one}
        assert queues & both in (set(), both), owner


def test_the_consumer_has_time_for_its_longest_pause_and_the_longest_execution(
    template: Document, definition: Document
) -> None:
    queue = of_type(template, "AWS::SQS::Queue")["WaitingRoomQueue"]
    function = of_type(template, "AWS::Serverless::Function")["ResumeFunction"]
    answer = clients.stepfunctions().meta.config.read_timeout  # type: ignore[attr-defined]
    assert definition["TimeoutSeconds"] < answer
    assert 1.5 * pace.LONGEST_PAUSE + answer + 10 < function["Timeout"] < queue["VisibilityTimeout"]


def test_the_consumer_takes_one_ticket_per_call_and_has_the_configured_concurrency(
    template: Document,
) -> None:
    function = of_type(template, "AWS::Serverless::Function")["ResumeFunction"]
    source = function["Events"]["WaitingRoomQueue"]["Properties"]
    assert source["BatchSize"] == 1
    assert source["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "ResumeConcurrency"}}
    of_priority = function["Events"]["PriorityWaitingRoomQueue"]["Properties"]
    assert (of_priority["BatchSize"], of_priority["ScalingConfig"]) == (1, {"MaximumConcurrency": 2})
    # The range that AWS allows.
    parameter = template["Parameters"]["ResumeConcurrency"]
    assert (parameter["MinValue"], parameter["MaxValue"]) == (2, 1000)


def test_a_lease_is_longer_than_an_execution(definition: Document) -> None:
    now = datetime.now(UTC)
    execution = Execution(name="e", arn="arn:e", entered_at="")
    assert execution.lease_end(now) > timestamp(now + timedelta(seconds=definition["TimeoutSeconds"]))


# SNS suspends an e-mail subscription that gets more messages a second than this, and deletes it days later.
EMAILS_A_SECOND = 10


def test_a_burst_cannot_exceed_the_limit_of_an_email_subscription(template: Document) -> None:
    functions = of_type(template, "AWS::Serverless::Function")
    publishers = {
        owner
        for owner, s in statements(template)
        if "sns:Publish" in as_list(s["Action"]) and s["Resource"] == {"Ref": "MailTopic"}
    }
    (source,) = functions["MailFunction"]["Events"].values()
    (schedule,) = functions["DigestFunction"]["Events"].values()
    at_once = source["Properties"]["ScalingConfig"]["MaximumConcurrency"]

    assert publishers == {"MailFunction", "DigestFunction"}
    assert (source["Type"], schedule["Type"]) == ("SQS", "Schedule")
    # EventBridge may run the digest twice, and the SDK may try each publish twice.
    config: Any = clients.sns().meta.config
    runs, attempts = at_once + 2, config.retries["total_max_attempts"]
    assert runs * attempts / SECONDS_PER_MAIL < EMAILS_A_SECOND


def test_a_batch_of_mail_fits_into_the_list_and_into_the_timeout(template: Document) -> None:
    function = of_type(template, "AWS::Serverless::Function")["MailFunction"]
    source = function["Events"]["ImmediateMailQueue"]["Properties"]
    queue = of_type(template, "AWS::SQS::Queue")["ImmediateMailQueue"]

    assert source["BatchSize"] <= MAX_LISTED
    assert source["MaximumBatchingWindowInSeconds"] == 1, "AWS wants one for batches of more than ten"
    assert 2 * seconds(clients.sns().meta.config) + SECONDS_PER_MAIL < function["Timeout"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"] + 1


def test_a_digest_has_the_time_to_send_and_delete_the_messages_it_received(template: Document) -> None:
    function = of_type(template, "AWS::Serverless::Function")["DigestFunction"]
    receiving = function["Timeout"] - digest.RESERVED_MS / 1000
    publishing = 2 * seconds(clients.sns().meta.config) + SECONDS_PER_MAIL

    assert digest.RESERVED_MS / 1000 - publishing - seconds(clients.sqs().meta.config) >= receiving
    assert of_type(template, "AWS::SQS::Queue")["DigestQueue"]["VisibilityTimeout"] > function["Timeout"]


def test_the_digest_runs_every_few_minutes(template: Document) -> None:
    digest_function = of_type(template, "AWS::Serverless::Function")["DigestFunction"]
    schedule = digest_function["Events"]["EveryFewMinutes"]["Properties"]["Schedule"]
    minutes = template["Parameters"]["DigestMinutes"]

    assert schedule == {"Fn::Sub": "rate(${DigestMinutes} minutes)"}
    assert (minutes["Default"], minutes["MinValue"] > 1) == (15, True), "rate(1 minutes) is refused"


def test_every_notification_goes_to_one_of_the_two_mail_queues(template: Document) -> None:
    subscriptions = of_type(template, "AWS::SNS::Subscription")
    immediate, digested = subscriptions["ImmediateMailSubscription"], subscriptions["DigestSubscription"]

    assert immediate["FilterPolicy"] == {"mail": ["immediate"]}
    assert digested["FilterPolicy"] == {"mail": ["digest", {"exists": False}]}
    undelivered = {"Fn::GetAtt": ["UndeliveredMailQueue", "Arn"]}
    for subscription, queue in ((immediate, "ImmediateMailQueue"), (digested, "DigestQueue")):
        properties = of_type(template, "AWS::SQS::Queue")[queue]
        assert subscription["TopicArn"] == {"Ref": "SupportTopic"}
        assert subscription["Endpoint"] == {"Fn::GetAtt": [queue, "Arn"]}
        assert subscription["RedrivePolicy"] == {"deadLetterTargetArn": undelivered}
        assert properties["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert "RedrivePolicy" not in properties, "waiting notifications are mailed automatically"


def test_only_the_support_topic_may_send_messages_to_the_mail_queues(template: Document) -> None:
    policies = of_type(template, "AWS::SQS::QueuePolicy")
    for queue in ("ImmediateMailQueue", "DigestQueue", "UndeliveredMailQueue"):
        (statement,) = policies[f"{queue}Policy"]["PolicyDocument"]["Statement"]
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "SupportTopic"}}}
        assert statement["Resource"] == {"Fn::GetAtt": [queue, "Arn"]}


def test_a_lost_mail_subscription_and_a_digest_that_does_not_run_raise_an_alarm(template: Document) -> None:
    alarm = of_type(template, "AWS::CloudWatch::Alarm")["MailSubscriptionLostAlarm"]

    # These are the dimensions that the digest publishes; other dimensions would be another metric.
    assert (alarm["Namespace"], alarm["MetricName"]) == ("SupportPipeline", "MailSubscriptions")
    assert alarm["Dimensions"] == [
        {"Name": "service", "Value": "support-pipeline"},
        {"Name": "Stage", "Value": {"Ref": "Stage"}},
        {"Name": "Topic", "Value": {"Fn::GetAtt": ["MailTopic", "TopicName"]}},
    ]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["Period"] > 60 * template["Parameters"]["DigestMinutes"]["MaxValue"]


def test_the_sweep_runs_every_five_minutes_and_waits_longer_than_an_execution_lasts(
    template: Document, definition: Document
) -> None:
    sweep = of_type(template, "AWS::Serverless::Function")["SweepFunction"]
    assert sweep["Events"]["EveryFiveMinutes"]["Properties"]["Schedule"] == "rate(5 minutes)"
    parameter = template["Parameters"]["SweepAfterSeconds"]
    assert parameter["Default"] == 600
    assert parameter["MinValue"] > definition["TimeoutSeconds"]


@pytest.mark.parametrize(
    "name",
    [
        "TicketsTable",
        "FailedTicketsQueue",
        "WaitingRoomQueue",
        "PriorityWaitingRoomQueue",
        "TicketPipelineLogGroup",
        "UserPool",
    ],
)
def test_resources_with_tickets_or_users_are_never_deleted(template: Document, name: str) -> None:
    resource = template["Resources"][name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_user_names_are_case_insensitive(template: Document) -> None:
    pool = of_type(template, "AWS::Cognito::UserPool")["UserPool"]
    assert pool["UsernameAttributes"] == ["email"]
    assert pool["UsernameConfiguration"] == {"CaseSensitive": False}


def test_the_settings_of_the_user_pool_are_explicit(template: Document) -> None:
    pool = of_type(template, "AWS::Cognito::UserPool")["UserPool"]
    client = of_type(template, "AWS::Cognito::UserPoolClient")["UserPoolClient"]
    assert pool["UserPoolTier"] == "LITE"
    assert pool["DeletionProtection"] == "ACTIVE"
    assert (pool["MfaConfiguration"], pool["EnabledMfas"]) == ("OPTIONAL", ["SOFTWARE_TOKEN_MFA"])
    recovery = pool["AccountRecoverySetting"]["RecoveryMechanisms"]
    assert [mechanism["Name"] for mechanism in recovery] == ["verified_email"]
    validity = {
        name: f"{client[f'{name}Validity']} {unit}" for name, unit in client["TokenValidityUnits"].items()
    }
    assert validity == {"IdToken": "60 minutes", "AccessToken": "60 minutes", "RefreshToken": "7 days"}
    assert client["EnableTokenRevocation"]


def test_the_table_is_on_demand_encrypted_recoverable_and_indexed(template: Document) -> None:
    table = of_type(template, "AWS::DynamoDB::Table")["TicketsTable"]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"]["SSEEnabled"]
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == [
        "ByTime",
        "ByStatus",
        "ByCustomer",
        "Pending",
        "Waiting",
    ]


def test_every_log_group_is_declared_and_its_logs_expire(template: Document) -> None:
    groups = of_type(template, "AWS::Logs::LogGroup")
    # People ask about operators' decisions years later.
    assert groups.pop("OperationsLogGroup")["RetentionInDays"] == 3653
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())
    assert set(groups) == {
        "FunctionsLogGroup",
        "TicketPipelineLogGroup",
        "WebAclLogGroup",
        "ApiAccessLogGroup",
    }


def test_all_functions_log_to_one_group(template: Document) -> None:
    functions = of_type({"Resources": render(template)}, "AWS::Lambda::Function").values()
    assert [f["LoggingConfig"] for f in functions] == [{"LogGroup": {"Ref": "FunctionsLogGroup"}}] * 9


def test_executions_are_logged_completely_and_traced(template: Document) -> None:
    machine = of_type(template, "AWS::Serverless::StateMachine")["TicketPipeline"]
    assert machine["Type"] == "EXPRESS"
    assert machine["Logging"]["Level"] == "ALL"
    assert template["Parameters"]["IncludeExecutionData"]["Default"] == "true"
    assert machine["Tracing"]["Enabled"]
    name = of_type(template, "AWS::Logs::LogGroup")["TicketPipelineLogGroup"]["LogGroupName"]["Fn::Sub"]
    assert name.startswith("/aws/vendedlogs/states/")


def test_the_outputs_are_those_that_tools_use(template: Document) -> None:
    assert set(template["Outputs"]) == {
        "ApiUrl",
        "ApiId",
        "StateMachineArn",
        "StateMachineLogGroup",
        "OperationsLogGroup",
        "TicketsTable",
        "SupportTopicArn",
        "MailTopicArn",
        "UndeliveredMailQueueUrl",
        "FailureTopicArn",
        "FailedTicketsQueueUrl",
        "WaitingRoomQueueUrl",
        "PriorityWaitingRoomQueueUrl",
        "ServiceClientPolicyArn",
        "UsagePlanId",
        "UserPoolId",
        "UserPoolClientId",
    }


def test_every_parameter_has_a_description_and_allowed_values(template: Document) -> None:
    for name, parameter in template["Parameters"].items():
        assert parameter["Description"].endswith("."), name
        limits = {"AllowedPattern", "AllowedValues", "MaxValue"} & set(parameter)
        assert limits, name
        assert ("AllowedPattern" in parameter) == ("ConstraintDescription" in parameter), name


def test_every_parameter_is_in_one_group(template: Document) -> None:
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert all(group["Label"]["default"] for group in groups)
    assert sorted(grouped) == sorted(template["Parameters"])


def test_every_stage_sets_only_parameters_of_the_template(template: Document) -> None:
    settings = tomllib.loads((PROJECT / "samconfig.toml").read_text())
    stages = [stage for name, stage in settings.items() if name != "version"]
    overrides = [stage["deploy"]["parameters"].get("parameter_overrides", "") for stage in stages]
    assert overrides
    for override in overrides:
        assert {pair.partition("=")[0] for pair in override.split()} <= set(template["Parameters"])
