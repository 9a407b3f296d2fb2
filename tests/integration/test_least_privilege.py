"""Each deployed role may do what its step needs, and nothing that it must not do."""

import json
import re
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.stack import Stack
from tests.helpers.running_stack import RunningStack

type Call = tuple[str, str]  # an action, and the name of its resource

# Unlike AWS, the emulator lets the whole account publish to a topic without a policy, and its Bedrock is the
# model stand-in. For these services the tests rely on IAM's policy simulation alone.
NOT_ENFORCED = {"sns", "bedrock"}


class Rights(NamedTuple):
    """Calls that a function must be able to make, and calls that it must not be able to make."""

    needs: list[Call]
    must_not: list[Call]


FUNCTIONS = {
    "StoreFunction": Rights(
        needs=[("dynamodb:PutItem", "table")],
        must_not=[("dynamodb:DeleteItem", "table"), ("sns:Publish", "support topic")],
    ),
    "ClassifyFunction": Rights(
        needs=[("bedrock:InvokeModel", "model"), ("ssm:GetParameter", "threshold")],
        must_not=[
            ("dynamodb:GetItem", "table"),
            ("dynamodb:PutItem", "table"),
            ("ssm:GetParameter", "sweep age"),
            ("bedrock:InvokeModel", "another model"),
        ],
    ),
    "UpdateFunction": Rights(
        needs=[("dynamodb:GetItem", "table"), ("dynamodb:UpdateItem", "table")],
        must_not=[
            ("dynamodb:DeleteItem", "table"),
            ("dynamodb:Scan", "table"),
            ("sns:Publish", "support topic"),
        ],
    ),
    "NotifyFunction": Rights(
        needs=[("sns:Publish", "support topic"), ("dynamodb:UpdateItem", "table")],
        must_not=[("dynamodb:DeleteItem", "table"), ("sns:Publish", "failure topic")],
    ),
    "TicketsFunction": Rights(
        needs=[
            ("dynamodb:GetItem", "table"),
            ("dynamodb:BatchGetItem", "table"),
            ("dynamodb:UpdateItem", "table"),
            ("sqs:SendMessage", "waiting room"),
            ("sqs:SendMessage", "priority waiting room"),
        ],
        must_not=[
            ("dynamodb:DeleteItem", "table"),
            ("dynamodb:PutItem", "table"),
            ("dynamodb:BatchWriteItem", "table"),
            ("dynamodb:Scan", "table"),
            ("sns:Publish", "support topic"),
            ("sqs:SendMessage", "failed tickets"),
            ("states:StartExecution", "state machine"),
        ],
    ),
    "ResumeFunction": Rights(
        needs=[
            ("states:StartSyncExecution", "state machine"),
            ("sqs:ReceiveMessage", "waiting room"),
            ("sqs:ReceiveMessage", "priority waiting room"),
            ("sqs:SendMessage", "waiting room"),
            ("sqs:SendMessage", "priority waiting room"),
            ("sqs:SendMessage", "failed tickets"),
            ("sns:Publish", "failure topic"),
            ("dynamodb:UpdateItem", "table"),
        ],
        must_not=[
            ("dynamodb:DeleteItem", "table"),
            ("dynamodb:PutItem", "table"),
            ("sns:Publish", "support topic"),
            ("states:StartSyncExecution", "another state machine"),
        ],
    ),
    "SweepFunction": Rights(
        needs=[
            ("sqs:SendMessage", "waiting room"),
            ("sqs:SendMessage", "priority waiting room"),
            ("ssm:GetParameter", "sweep age"),
        ],
        must_not=[
            ("states:StartExecution", "state machine"),
            ("dynamodb:DeleteItem", "table"),
            ("sns:Publish", "support topic"),
            ("ssm:GetParameter", "threshold"),
        ],
    ),
    "MailFunction": Rights(
        needs=[("sns:Publish", "mail topic"), ("sns:GetTopicAttributes", "mail topic")],
        must_not=[
            ("sns:Publish", "support topic"),
            ("dynamodb:GetItem", "table"),
            ("sqs:SendMessage", "digest queue"),
        ],
    ),
    "DigestFunction": Rights(
        needs=[
            ("sqs:ReceiveMessage", "digest queue"),
            ("sqs:DeleteMessage", "digest queue"),
            ("sns:Publish", "mail topic"),
            ("sns:GetTopicAttributes", "mail topic"),
        ],
        must_not=[
            ("sns:Publish", "support topic"),
            ("dynamodb:GetItem", "table"),
            ("sqs:SendMessage", "digest queue"),
            ("sqs:ReceiveMessage", "failed tickets"),
        ],
    ),
}


class Account:
    """The deployed stack's resources and roles."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        pages = stack.client("cloudformation").get_paginator("list_stack_resources")
        self.resources: dict[str, dict[str, Any]] = {
            resource["LogicalResourceId"]: resource
            for page in pages.paginate(StackName=stack.stack_name)
            for resource in page["StackResourceSummaries"]
        }

    def client(self, service: str) -> Any:
        return self._stack.client(service)

    def id(self, logical_id: str) -> str:
        return str(self.resources[logical_id]["PhysicalResourceId"])

    def of_type(self, kind: str) -> set[str]:
        return {name for name, resource in self.resources.items() if resource["ResourceType"] == kind}

    def role(self, logical_id: str) -> str:
        """The ARN of a role."""
        return str(self.client("iam").get_role(RoleName=self.id(logical_id))["Role"]["Arn"])

    def role_of(self, function: str) -> str:
        """The ARN of a function's role."""
        return str(self.client("lambda").get_function_configuration(FunctionName=self.id(function))["Role"])

    def arn(self, name: str) -> str:
        """The ARN of the resource with this name in the rights above."""
        region, machine = self._stack.region, self.id("TicketPipeline")
        model = f"arn:aws:bedrock:{region}::foundation-model/amazon.nova"
        parameter = machine.replace(":states:", ":ssm:").partition(":stateMachine:")[0] + ":parameter"
        return {
            "table": self._table(),
            "support topic": self.id("SupportTopic"),
            "failure topic": self.id("FailureTopic"),
            "mail topic": self.id("MailTopic"),
            "digest queue": self.queue_arn(self.id("DigestQueue")),
            "waiting room": self.queue_arn(self.id("WaitingRoomQueue")),
            "priority waiting room": self.queue_arn(self.id("PriorityWaitingRoomQueue")),
            "failed tickets": self.queue_arn(self.id("FailedTicketsQueue")),
            "state machine": machine,
            "another state machine": f"{machine}-2",
            "model": f"{model}-lite-v1:0",
            "another model": f"{model}-pro-v1:0",
            "threshold": parameter + self.id("ReviewThresholdParameter"),
            "sweep age": parameter + self.id("SweepAfterSecondsParameter"),
        }[name]

    def _table(self) -> str:
        return str(
            self.client("dynamodb").describe_table(TableName=self.id("TicketsTable"))["Table"]["TableArn"]
        )

    def queue_arn(self, url: str) -> str:
        answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def may(self, role: str, action: str, resource: str) -> bool:
        """Whether IAM allows the call."""
        answer = self.client("iam").simulate_principal_policy(
            PolicySourceArn=role, ActionNames=[action], ResourceArns=[resource]
        )
        (result,) = answer["EvaluationResults"]
        return bool(result["EvalDecision"] == "allowed")

    def attempt(self, role: str, action: str, resource: str) -> None:
        """Call with the role's own credentials.

        Raises:
            ClientError: the call was refused, or it failed.
        """
        taken = self.client("sts").assume_role(RoleArn=role, RoleSessionName="least-privilege")["Credentials"]
        service = action.partition(":")[0]
        client: Any = boto3.Session().client(
            {"states": "stepfunctions"}.get(service, service),  # type: ignore[call-overload]
            endpoint_url=self._stack.endpoint_url,
            region_name=self._stack.region,
            aws_access_key_id=taken["AccessKeyId"],
            aws_secret_access_key=taken["SecretAccessKey"],
            aws_session_token=taken["SessionToken"],
            # StartSyncExecution has a host of its own, which the emulator does not have.
            config=Config(inject_host_prefix=False),
        )
        ticket = {"ticketId": {"S": "no-ticket"}}
        name = resource.rpartition(":")[2].partition("/")[2]
        match action:
            case "dynamodb:GetItem":
                client.get_item(TableName=name, Key=ticket)
            case "dynamodb:PutItem":
                client.put_item(TableName=name, Item=ticket)
            case "dynamodb:DeleteItem":
                client.delete_item(TableName=name, Key=ticket)
            case "dynamodb:BatchWriteItem":
                client.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": ticket}}]})
            case "dynamodb:Scan":
                client.scan(TableName=name)
            case "ssm:GetParameter":
                client.get_parameter(Name=f"/{name}")
            case "states:StartExecution":
                client.start_execution(stateMachineArn=resource, input="{}")
            case "states:StartSyncExecution":
                client.start_sync_execution(stateMachineArn=resource, input="{}")
            case "sqs:SendMessage":
                client.send_message(QueueUrl=self._queue_url(resource), MessageBody="no ticket")
            case "sqs:ReceiveMessage":
                client.receive_message(QueueUrl=self._queue_url(resource))
            case _:
                raise NotImplementedError(action)

    def _queue_url(self, arn: str) -> str:
        name = arn.rpartition(":")[2]
        return str(self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


@pytest.fixture
def account(stack: RunningStack) -> Account:
    return Account(stack.stack)


def test_every_deployed_function_is_tested(account: Account) -> None:
    assert account.of_type("AWS::Lambda::Function") == set(FUNCTIONS)


def test_every_function_has_its_own_role(account: Account) -> None:
    assert len({account.role_of(function) for function in FUNCTIONS}) == len(FUNCTIONS)


@pytest.mark.parametrize(("function", "call"), [(f, call) for f, r in FUNCTIONS.items() for call in r.needs])
def test_a_function_may_do_what_its_step_needs(account: Account, function: str, call: Call) -> None:
    action, resource = call
    assert account.may(account.role_of(function), action, account.arn(resource))


@pytest.mark.parametrize(
    ("function", "call"), [(f, call) for f, r in FUNCTIONS.items() for call in r.must_not]
)
def test_a_function_may_not_do_what_its_step_does_not_need(
    account: Account, function: str, call: Call
) -> None:
    action, resource = call
    role, arn = account.role_of(function), account.arn(resource)

    assert not account.may(role, action, arn)
    if action.partition(":")[0] not in NOT_ENFORCED:
        with pytest.raises(ClientError, match="AccessDenied"):
            account.attempt(role, action, arn)


def test_every_function_has_a_refusal_that_the_emulator_enforces() -> None:
    for function, rights in FUNCTIONS.items():
        assert {action.partition(":")[0] for action, _ in rights.must_not} - NOT_ENFORCED, function


def test_the_refused_calls_succeed_with_the_necessary_rights(account: Account) -> None:
    """Otherwise a refusal would prove nothing."""
    account.attempt(account.role_of("StoreFunction"), "dynamodb:GetItem", account.arn("table"))
    account.attempt(account.role_of("SweepFunction"), "ssm:GetParameter", account.arn("sweep age"))
    account.attempt(account.role_of("DigestFunction"), "sqs:ReceiveMessage", account.arn("digest queue"))


def test_no_function_may_extend_its_own_rights_or_change_the_stack(account: Account) -> None:
    for function in FUNCTIONS:
        role = account.role_of(function)
        for action in (
            "iam:PutRolePolicy",
            "lambda:UpdateFunctionCode",
            "dynamodb:DeleteTable",
            "kms:Decrypt",
        ):
            assert not account.may(role, action, "*"), (function, action)


def called_by_the_state_machine(account: Account) -> list[Call]:
    """The action and the ARN of each task in the deployed definition."""
    machine = account.client("stepfunctions").describe_state_machine(
        stateMachineArn=account.id("TicketPipeline")
    )
    calls = []
    for state in json.loads(machine["definition"])["States"].values():
        if state["Type"] == "Task":
            service, _, operation = state["Resource"].rpartition(":::")[2].partition(":")
            action = {"lambda:invoke": "lambda:InvokeFunction"}.get(
                f"{service}:{operation}", f"{service}:{operation[0].upper()}{operation[1:]}"
            )
            named = state["Parameters"]
            target = (
                named.get("FunctionName") or named.get("TopicArn") or account.queue_arn(named["QueueUrl"])
            )
            calls.append((action, target))
    return calls


def test_the_state_machine_may_call_only_the_resources_in_its_definition(account: Account) -> None:
    role, calls = account.role("TicketPipelineRole"), called_by_the_state_machine(account)

    assert {action for action, _ in calls} == {"lambda:InvokeFunction", "sns:Publish", "sqs:SendMessage"}
    for action, target in calls:
        assert account.may(role, action, target), (action, target)
        assert not account.may(role, action, another(target)), (action, target)


def another(arn: str) -> str:
    """The ARN of another resource, with a longer name before the version, if there is one."""
    return re.sub(r"(:\d+)?$", r"-2\1", arn, count=1)


def test_the_state_machine_may_do_nothing_else_with_the_resources_it_calls(account: Account) -> None:
    role = account.role("TicketPipelineRole")
    for action, target in called_by_the_state_machine(account):
        service = action.partition(":")[0]
        other = {"lambda": "UpdateFunctionCode", "sns": "Subscribe", "sqs": "ReceiveMessage"}[service]
        assert not account.may(role, f"{service}:{other}", target), (service, target)
    assert not account.may(role, "dynamodb:GetItem", account.arn("table"))
    assert not account.may(role, "sns:Publish", account.arn("support topic"))
    assert not account.may(role, "lambda:InvokeFunction", function_arn(account, "SweepFunction"))


def function_arn(account: Account, function: str) -> str:
    answer = account.client("lambda").get_function_configuration(FunctionName=account.id(function))
    return str(answer["FunctionArn"])


def integrations(account: Account) -> list[dict[str, Any]]:
    """All integrations of the deployed API that call AWS."""
    api, client = account.id("Api"), account.client("apigateway")
    found = []
    for resource in client.get_resources(restApiId=api, limit=500)["items"]:
        for method in resource.get("resourceMethods", {}):
            found.append(client.get_integration(restApiId=api, resourceId=resource["id"], httpMethod=method))
    return [integration for integration in found if integration["type"] != "MOCK"]


def test_the_api_may_start_the_state_machine_and_nothing_else(account: Account) -> None:
    with_role = [i for i in integrations(account) if i.get("credentials")]
    assert with_role
    for integration in with_role:
        role = integration["credentials"]
        assert role == account.role("ApiRole")
        service, action = re.findall(r":(\w+):action/(\w+)$", integration["uri"])[0]
        assert account.may(role, f"{service}:{action}", account.arn("state machine"))
        assert not account.may(role, f"{service}:{action}", account.arn("another state machine"))
        for other in ("states:StartSyncExecution", "states:StopExecution", "states:DescribeStateMachine"):
            assert not account.may(role, other, account.arn("state machine"))
        assert not account.may(role, "lambda:InvokeFunction", function_arn(account, "StoreFunction"))
        assert not account.may(role, "dynamodb:GetItem", account.arn("table"))


def test_only_this_api_may_call_the_function_behind_it(account: Account) -> None:
    by_function = [i for i in integrations(account) if not i.get("credentials")]
    assert by_function
    called = {re.findall(r"functions/([^/]+)/", integration["uri"])[0] for integration in by_function}
    assert called == {account.id("TicketsFunctionAliaslive")}
    policy = account.client("lambda").get_policy(FunctionName=account.id("TicketsFunctionAliaslive"))[
        "Policy"
    ]
    for statement in json.loads(policy)["Statement"]:
        assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
        assert statement["Action"] == "lambda:InvokeFunction"
        assert f":{account.id('Api')}/" in json.dumps(statement["Condition"])
