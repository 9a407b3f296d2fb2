"""The options of the template: firewall, key, network, recipients. By default, none is deployed."""

import inspect
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.assemble import read_template
from support.aws import clients
from support.domain.analysis_schema import URGENCIES
from support.domain.reply import ShowDrafts
from tests.infrastructure.rendering import render
from tests.infrastructure.test_template import PARTS

type Document = dict[str, Any]

PROJECT = Path(__file__).parents[2]
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NETWORK = {
    "VpcSubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    "VpcSecurityGroupIds": "sg-0123456789abcdef0",
}
VPC_POLICY = "AWSLambdaVPCAccessExecutionRole"


def of_type(resources: Document, kind: str) -> dict[str, Document]:
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


def text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


@cache
def rendered(template: str, **parameters: str) -> Document:
    return render(json.loads(template), **parameters)


@pytest.fixture
def deployed(template: Document) -> Any:
    """A function that returns the resources that are deployed with its parameters."""
    return lambda **parameters: rendered(json.dumps(template), **parameters)


def statements(resources: Document, role: str) -> list[Document]:
    policies = resources[role]["Properties"].get("Policies", [])
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


# ---- The firewall


def test_by_default_no_resource_of_the_firewall_is_deployed(deployed: Any) -> None:
    resources = deployed()
    assert not [r for r in resources.values() if r["Type"].startswith("AWS::WAFv2::")]
    assert "WebAclLogGroup" not in resources


@pytest.mark.parametrize(
    ("mode", "own", "managed"),
    [("count", {"Count": {}}, {"Count": {}}), ("block", {"Block": {}}, {"None": {}})],
)
def test_every_rule_of_the_firewall_counts_or_blocks_according_to_the_mode(
    deployed: Any, mode: str, own: Document, managed: Document
) -> None:
    rules = deployed(WafMode=mode)["WebAcl"]["Properties"]["Rules"]
    assert {rule["Name"]: rule.get("Action", rule.get("OverrideAction")) for rule in rules} == {
        "AWSManagedRulesAmazonIpReputationList": managed,
        "RateOfOneAddress": own,
        "SizeOfTheBody": own,
        "AWSManagedRulesKnownBadInputsRuleSet": managed,
        "AWSManagedRulesCommonRuleSet": managed,
    }
    assert [rule["Priority"] for rule in rules] == list(range(len(rules)))


def test_the_firewall_allows_long_tickets_and_inspects_as_much_of_a_body_as_possible(deployed: Any) -> None:
    acl = deployed(WafMode="block", WafRateLimit="77")["WebAcl"]["Properties"]
    rules = {rule["Name"]: rule["Statement"] for rule in acl["Rules"]}
    common = rules["AWSManagedRulesCommonRuleSet"]["ManagedRuleGroupStatement"]

    assert common["RuleActionOverrides"] == [{"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}}]
    assert acl["AssociationConfig"]["RequestBody"]["API_GATEWAY"]["DefaultSizeInspectionLimit"] == "KB_64"
    assert rules["RateOfOneAddress"]["RateBasedStatement"]["Limit"] == "77"


@pytest.mark.parametrize("schema", ["Submission", "ServiceSubmission"])
def test_no_valid_ticket_is_too_large_for_the_firewall(deployed: Any, openapi: Document, schema: str) -> None:
    """The firewall inspects at most 64 KB of a body. Tickets may be longer; a rule reads Content-Length."""
    rules = deployed(WafMode="block")["WebAcl"]["Properties"]["Rules"]
    (size,) = [rule["Statement"] for rule in rules if rule["Name"] == "SizeOfTheBody"]
    rule = size["RegexMatchStatement"]
    fields = openapi["components"]["schemas"][schema]["properties"]
    # Twelve bytes for each character; a client may also escape names, and indent.
    longest = {name: "\U0001f600" * f["maxLength"] for name, f in fields.items() if "maxLength" in f}
    ticket = json.dumps(longest | {"priority": "high"}, indent=8)

    assert rule["FieldToMatch"] == {"SingleHeader": {"Name": "content-length"}}
    assert 65_536 < len(ticket) < 101_000
    assert not re.search(rule["RegexString"], str(2 * len(ticket)))
    assert not re.search(rule["RegexString"], "999999")
    assert re.search(rule["RegexString"], "1000000")
    # A rule on the size of the body itself would block every body that it cannot inspect completely.
    assert not found(rules, "SizeConstraintStatement")


def test_the_firewall_protects_the_apis_stage_and_its_log_has_no_secrets(deployed: Any) -> None:
    resources = deployed(WafMode="block")
    association = resources["WebAclAssociation"]["Properties"]
    logging = resources["WebAclLogging"]["Properties"]
    stage = re.search(r"/restapis/\$\{Api}/stages/\$\{(\w+)}", text(association["ResourceArn"]))

    assert stage is not None
    assert resources[stage[1]]["Type"] == "AWS::ApiGateway::Stage"
    assert association["WebACLArn"] == logging["ResourceArn"] == {"Fn::GetAtt": ["WebAcl", "Arn"]}
    redacted = {field["SingleHeader"]["Name"] for field in logging["RedactedFields"]}
    assert redacted == {"authorization", "x-api-key"}
    assert "WebAclLogGroup" in text(logging["LogDestinationConfigs"])
    group = resources["WebAclLogGroup"]["Properties"]["LogGroupName"]["Fn::Sub"]
    assert group.startswith("aws-waf-logs-")
    assert '"SampledRequestsEnabled": true' not in text(resources["WebAcl"]), "samples contain the headers"


# ---- The key


def test_by_default_all_data_is_encrypted_with_awss_own_keys(deployed: Any) -> None:
    resources = deployed()
    queues, topics = of_type(resources, "AWS::SQS::Queue"), of_type(resources, "AWS::SNS::Topic")
    assert {name: queue.get("SqsManagedSseEnabled") for name, queue in queues.items()} == dict.fromkeys(
        queues, True
    )
    assert {name: topic.get("KmsMasterKeyId") for name, topic in topics.items()} == {
        "SupportTopic": "alias/aws/sns",
        "FailureTopic": "alias/aws/sns",
        "MailTopic": "alias/aws/sns",
        "AlarmTopic": None,
    }
    assert resources["TicketsTable"]["Properties"]["SSESpecification"] == {
        "SSEEnabled": True,
        "SSEType": "KMS",
    }
    assert not [g for g in of_type(resources, "AWS::Logs::LogGroup").values() if "KmsKeyId" in g]
    assert '"kms:' not in text(resources)


def test_with_a_key_everything_that_can_contain_a_ticket_is_encrypted_with_it(deployed: Any) -> None:
    resources = deployed(KmsKeyArn=KEY, WafMode="count")
    queues, topics = of_type(resources, "AWS::SQS::Queue"), of_type(resources, "AWS::SNS::Topic")
    groups = of_type(resources, "AWS::Logs::LogGroup")
    assert resources["TicketsTable"]["Properties"]["SSESpecification"]["KMSMasterKeyId"] == KEY
    assert {r["KmsMasterKeyId"] for r in [*queues.values(), *topics.values()]} == {KEY}
    assert not [queue for queue in queues.values() if "SqsManagedSseEnabled" in queue]
    assert {group["KmsKeyId"] for group in groups.values()} == {KEY}


ENCRYPTED = {"dynamodb", "sns", "sqs"}


def test_with_a_key_roles_may_use_it_only_through_the_services_that_it_encrypts(deployed: Any) -> None:
    resources = deployed(KmsKeyArn=KEY)
    assert [s["Sid"] for s in found(resources, "Sid") if "kms:" in text(s["Action"])] == ["UseTheKey"]
    (statement,) = resources["KeyPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert statement["Resource"] == KEY
    assert set(statement["Condition"]) == {"StringEquals"}
    assert set(statement["Condition"]["StringEquals"]) == {"kms:ViaService"}
    via = text(statement["Condition"]["StringEquals"]["kms:ViaService"])
    assert set(re.findall(r"(\w+)\.\$\{AWS::Region}", via)) == ENCRYPTED


def test_only_roles_that_use_an_encrypted_service_may_use_its_key(deployed: Any) -> None:
    """Derived from the permissions, so that a new permission without that for the key fails here."""
    resources = deployed(KmsKeyArn=KEY)
    roles = of_type(resources, "AWS::IAM::Role")
    users = {
        name for name, role in roles.items() if {"Ref": "KeyPolicy"} in role.get("ManagedPolicyArns", [])
    }
    services = {
        name: re.findall(r'"(\w+):\w+"', text([s["Action"] for s in statements(resources, name)]))
        for name in roles
    }
    pollers = {"ResumeFunctionRole", "MailFunctionRole"}
    assert users == {name for name in roles if ENCRYPTED & set(services[name])} | pollers
    assert len(users) == 9


# ---- The network


def test_by_default_no_function_runs_in_a_vpc(deployed: Any) -> None:
    assert not [f for f in of_type(deployed(), "AWS::Lambda::Function").values() if "VpcConfig" in f]


def test_with_a_vpc_every_function_runs_in_it(deployed: Any) -> None:
    functions = of_type(deployed(**NETWORK), "AWS::Lambda::Function")
    for name, function in functions.items():
        assert function["VpcConfig"] == {
            "SubnetIds": NETWORK["VpcSubnetIds"].split(","),
            "SecurityGroupIds": [NETWORK["VpcSecurityGroupIds"]],
        }, name


@pytest.mark.parametrize("parameters", [{}, NETWORK])
def test_the_code_of_a_function_may_not_manage_network_interfaces(
    deployed: Any, parameters: dict[str, str]
) -> None:
    """SAM attaches AWS's policy for functions in a VPC even if VpcConfig resolves to nothing."""
    resources = deployed(**parameters)
    policy = resources["FunctionsNetworkPolicy"]["Properties"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    roles = of_type(resources, "AWS::IAM::Role")
    allowed = {name for name, role in roles.items() if VPC_POLICY in text(role.get("ManagedPolicyArns"))}

    assert {role["Ref"] for role in policy["Roles"]} == allowed
    assert {
        f["Role"]["Fn::GetAtt"][0] for f in of_type(resources, "AWS::Lambda::Function").values()
    } == allowed
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "ec2:*", "*")
    # This condition key exists only in calls of the function's code, not in those of Lambda itself.
    assert statement["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}


def test_the_endpoints_are_those_of_the_functions_clients() -> None:
    names = re.findall(r"^def (\w+)\(", inspect.getsource(clients), re.MULTILINE)
    called = [getattr(clients, name)().meta.service_model.endpoint_prefix for name in names]
    # StartSyncExecution, the only call, has a separate host.
    called = [f"sync-{prefix}" if prefix == "states" else prefix for prefix in called]
    endpoints = re.findall(r"com\.amazonaws\.\$\{AWS::Region}\.([\w-]+)", endpoints_text())
    assert sorted(endpoints) == sorted(called)


def endpoints_text() -> str:
    return (PROJECT / "infra" / "vpc-endpoints.yaml").read_text()


# ---- The guardrail


@pytest.mark.parametrize(("profile", "tier"), [("", "CLASSIC"), ("eu", "STANDARD")])
def test_the_profile_determines_the_tier_of_the_guardrail(deployed: Any, profile: str, tier: str) -> None:
    resources = deployed(GuardrailMode="block", GuardrailProfile=profile)
    guardrail = resources["TicketGuardrail"]["Properties"]
    assert guardrail["ContentPolicyConfig"]["ContentFiltersTierConfig"] == {"TierName": tier}
    assert ("CrossRegionConfig" in guardrail) == (tier == "STANDARD"), "Bedrock wants both or neither"


def test_the_function_may_use_the_guardrails_profile_in_each_of_its_regions(deployed: Any) -> None:
    def judged_with(**parameters: str) -> list[str]:
        granted = statements(deployed(GuardrailMode="block", **parameters), "ClassifyFunctionRole")
        (statement,) = [s for s in granted if s["Sid"] == "HaveTicketsJudged"]
        return re.findall(r"guardrail-profile/[^\"]+", text(statement["Resource"]))

    assert judged_with() == []
    assert judged_with(GuardrailProfile="eu") == ["guardrail-profile/${GuardrailProfile}.guardrail.v1:0"]


def test_a_change_of_the_tier_publishes_another_version_of_the_guardrail(deployed: Any) -> None:
    version = deployed(GuardrailMode="block")["TicketGuardrailVersion"]["Properties"]
    assert "${GuardrailProfile}" in version["Description"]["Fn::Sub"]


# ---- Recipients and tunables


def test_by_default_nobody_gets_mail(deployed: Any) -> None:
    subscriptions = of_type(deployed(), "AWS::SNS::Subscription")
    assert {subscription["Protocol"] for subscription in subscriptions.values()} == {"sqs"}


def test_mail_addresses_come_only_from_parameter_store(deployed: Any) -> None:
    resources = deployed(Stage="prod", NotificationEmail="ssm", AlarmEmail="ssm")
    mails = {
        n: s for n, s in of_type(resources, "AWS::SNS::Subscription").items() if s["Protocol"] == "email"
    }
    assert {name: mail["Endpoint"]["Fn::Sub"] for name, mail in mails.items()} == {
        "SupportEmailSubscription": "{{resolve:ssm:/support-pipeline/${Stage}/notification-email}}",
        "AlarmEmailSubscription": "{{resolve:ssm:/support-pipeline/${Stage}/alarm-email}}",
    }


def test_there_is_an_on_call_alarm_or_a_budget_only_if_it_is_asked_for(deployed: Any) -> None:
    names = {"OnCallAlarm", "StackBudget", "AlarmTopicPolicy"}
    assert not names & deployed().keys()

    topic = "arn:aws:sns:eu-west-1:123456789012:pages"
    resources = deployed(OnCallTopicArn=topic, MonthlyBudgetUsd=50, Stage="prod")
    assert names <= resources.keys()
    assert resources["OnCallAlarm"]["Properties"]["AlarmActions"] == [topic]
    budget = resources["StackBudget"]["Properties"]["Budget"]
    assert budget["BudgetLimit"] == {"Amount": 50, "Unit": "USD"}
    assert budget["CostFilters"] == {"TagKeyValue": [{"Fn::Sub": "user:Stage$${Stage}"}]}


def test_e_mail_addresses_are_subscribed_only_to_the_mail_topic(deployed: Any) -> None:
    mail = deployed(NotificationEmail="ssm")["SupportEmailSubscription"]["Properties"]
    assert mail["TopicArn"] == {"Ref": "MailTopic"}


@pytest.mark.parametrize(("parameters", "expected"), [({}, "0"), ({"NotificationEmail": "ssm"}, "1")])
def test_mail_waits_for_a_confirmed_subscription_only_if_there_is_an_address(
    deployed: Any, parameters: dict[str, str], expected: str
) -> None:
    resources = deployed(**parameters)
    for function in ("MailFunction", "DigestFunction"):
        variables = resources[function]["Properties"]["Environment"]["Variables"]
        assert variables["MIN_MAIL_SUBSCRIPTIONS"] == expected
    assert ("MailSubscriptionLostAlarm" in resources) == bool(int(expected))


def test_the_urgencies_to_mail_immediately_are_configurable(template: Document, deployed: Any) -> None:
    parameter = template["Parameters"]["ImmediateMailUrgencies"]
    notify = deployed(ImmediateMailUrgencies="CRITICAL,MEDIUM")["NotifyFunction"]["Properties"]

    for good in ("CRITICAL,HIGH", ",".join(URGENCIES), *URGENCIES):
        assert re.fullmatch(parameter["AllowedPattern"], good)
    for bad in ("", "high", "CRITICAL, HIGH", "CRITICAL,", "NONE"):
        assert not re.fullmatch(parameter["AllowedPattern"], bad)
    assert notify["Environment"]["Variables"]["IMMEDIATE_MAIL_URGENCIES"] == "CRITICAL,MEDIUM"


def test_the_api_and_the_announcement_follow_the_same_rule_for_drafts(
    template: Document, deployed: Any
) -> None:
    parameter = template["Parameters"]["ShowDrafts"]
    assert parameter["AllowedValues"] == list(ShowDrafts)
    assert parameter["Default"] == ShowDrafts.CONFIDENT
    for function in ("TicketsFunction", "NotifyFunction"):
        variables = deployed(ShowDrafts="approved")[function]["Properties"]["Environment"]["Variables"]
        assert variables["SHOW_DRAFTS"] == "approved", function


@pytest.mark.parametrize("file", ["template.yaml", "samconfig.toml", "infra/vpc-endpoints.yaml", *PARTS])
def test_no_deployed_file_contains_a_mail_address(file: str) -> None:
    assert re.findall(r"[\w.+-]+@[\w-]+\.\w+", (PROJECT / file).read_text()) == []


def test_only_the_functions_that_need_a_tunable_may_read_it(deployed: Any) -> None:
    resources = deployed()
    readers = {
        role: [text(s["Resource"]) for s in statements(resources, role) if "ssm:" in text(s["Action"])]
        for role in of_type(resources, "AWS::IAM::Role")
    }
    parameter = "arn:${{AWS::Partition}}:ssm:${{AWS::Region}}:${{AWS::AccountId}}:parameter${{{}}}"
    assert {role: granted for role, granted in readers.items() if granted} == {
        "ClassifyFunctionRole": [text({"Fn::Sub": parameter.format("ReviewThresholdParameter")})],
        "SweepFunctionRole": [text({"Fn::Sub": parameter.format("SweepAfterSecondsParameter")})],
    }


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("ReviewThreshold", ["0", "0.6", "1", "1.0"], ["", "1.1", "-1", "high", "0,6"]),
        ("SweepAfterSeconds", ["300", "86400"], ["", "60", "never", "1e3"]),
    ],
)
def test_parameter_store_itself_refuses_most_invalid_values(
    deployed: Any, name: str, good: list[str], bad: list[str]
) -> None:
    parameter = deployed()[f"{name}Parameter"]["Properties"]
    assert all(re.search(parameter["AllowedPattern"], value) for value in good)
    assert not [value for value in bad if re.search(parameter["AllowedPattern"], value)]


# ---- The role that writes access logs


def test_the_access_log_role_is_set_before_the_stage_and_is_never_deleted(deployed: Any) -> None:
    resources = deployed()
    (stage,) = of_type(resources, "AWS::ApiGateway::Stage").values()
    role, account = resources["AccessLogWriterRole"], resources["ApiGatewayAccount"]

    assert {"Key": "AccessLogRole", "Value": {"Ref": "ApiGatewayAccount"}} in stage["Tags"]
    assert account["Properties"]["CloudWatchRoleArn"] == {"Fn::GetAtt": ["AccessLogWriterRole", "Arn"]}
    assert {r["DeletionPolicy"] for r in (role, account)} == {"Retain"}
    # It replaces the role that is set, so it must be able to write the logs of other APIs, too.
    (policy,) = role["Properties"]["ManagedPolicyArns"]
    assert policy["Fn::Sub"].endswith(":iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs")


def test_an_existing_access_log_role_is_not_changed(deployed: Any) -> None:
    resources = deployed(AccessLogRole="existing")
    (stage,) = of_type(resources, "AWS::ApiGateway::Stage").values()
    assert not {"AccessLogWriterRole", "ApiGatewayAccount"} & set(resources)
    assert (
        stage["AccessLogSetting"]
        == next(iter(of_type(deployed(), "AWS::ApiGateway::Stage").values()))["AccessLogSetting"]
    )


# ---- Everything


def test_only_known_statements_have_a_wildcard(template: Document) -> None:
    allowed = {"DeliverLogs", "Trace", "OnlyLambdaItself"}
    statements = found(template["Resources"], "Sid")
    on_everything = {s["Sid"] for s in statements if "*" in (s["Resource"], *s["Resource"])}
    assert on_everything == allowed
    assert {s["Sid"] for s in statements if "*" in text(s["Action"])} == {"OnlyLambdaItself"}, "a denial"


def found(value: Any, key: str) -> list[Document]:
    """Every mapping with this key in a document."""
    if isinstance(value, dict):
        inner = [m for v in value.values() for m in found(v, key)]
        return [value, *inner] if key in value else inner
    return [m for v in value for m in found(v, key)] if isinstance(value, list) else []


@pytest.mark.parametrize("file", ["template.yaml", "infra/vpc-endpoints.yaml"])
def test_every_parameter_has_a_description_and_limits(file: str, template: Document) -> None:
    document = template if file == "template.yaml" else read_template(PROJECT / file)
    for name, parameter in document["Parameters"].items():
        assert parameter["Description"], name
        limits = {"AllowedPattern", "AllowedValues", "MaxValue"} & set(parameter)
        assert limits or "AWS::EC2" in parameter["Type"], name
