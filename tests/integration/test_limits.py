"""Requests above a limit are refused with a problem that says when to retry, and start no execution."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.helpers.running_stack import RunningStack

TICKET = {"customerId": "customer-4711", "content": "It is broken."}


def problem(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"].rpartition(":")[2])


def test_a_client_above_its_rate_gets_429_with_retry_after(stack: RunningStack) -> None:
    with stack.client_limits(rateLimit=1, burstLimit=1), ThreadPoolExecutor() as pool:
        answers = list(
            pool.map(lambda _: stack.send_as_service("POST", "/service/support-request", TICKET), range(8))
        )

    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.status_code for answer in answers} == {202, 429}
    assert {problem(answer) for answer in refused} == {"throttled"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)


def test_a_client_above_its_quota_gets_429_and_starts_no_execution(stack: RunningStack) -> None:
    # With this rate, earlier requests do not count.
    with stack.client_limits(quota=1, rateLimit=1000, burstLimit=1000):
        stack.send_as_service("POST", "/service/support-request", TICKET)
        before = len(stack.executions())
        answer = stack.send_as_service("POST", "/service/support-request", TICKET)

        assert (answer.status_code, problem(answer)) == (429, "quota-exceeded")
        assert int(answer.headers["retry-after"]) > 0
        assert len(stack.executions()) == before


def test_an_api_key_outside_the_usage_plan_is_refused(stack: RunningStack) -> None:
    key = stack.stack.client("apigateway").create_api_key(name="not-in-the-plan", enabled=True)

    answer = stack.send_as_service("POST", "/service/support-request", TICKET, api_key=key["value"])

    assert (answer.status_code, problem(answer)) == (403, "invalid-api-key")


def test_an_api_key_without_a_signature_is_refused(stack: RunningStack) -> None:
    key = json.loads((stack.folder / "service.json").read_text())["apiKey"]

    answer = stack.http.post("/service/support-request", json=TICKET, headers={"x-api-key": key})

    assert (answer.status_code, problem(answer)) == (403, "invalid-signature")


def test_a_body_that_changed_after_signing_is_refused(stack: RunningStack) -> None:
    answer = stack.send_as_service(
        "POST", "/service/support-request", TICKET, sent=TICKET | {"customerId": "somebody-else"}
    )

    assert (answer.status_code, problem(answer)) == (403, "invalid-signature")


def test_the_methods_that_start_executions_have_their_own_limits(stack: RunningStack) -> None:
    api = stack.stack.client("cloudformation").describe_stack_resource(
        StackName=stack.stack.stack_name, LogicalResourceId="Api"
    )["StackResourceDetail"]["PhysicalResourceId"]
    stage = stack.stack.client("apigateway").get_stage(restApiId=api, stageName="local")

    settings = {
        method.strip("/"): (int(limits["throttlingRateLimit"]), int(limits["throttlingBurstLimit"]))
        for method, limits in stage["methodSettings"].items()
    }
    assert settings == {
        "support-request/POST": (50, 100),
        "service/support-request/POST": (50, 100),
        "*/*": (100, 200),
    }
