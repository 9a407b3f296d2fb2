"""Limits: too much is refused with a problem that says when to come back, and nothing is started."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.helpers.running_stack import RunningStack

TICKET = {"customerId": "customer-4711", "content": "It is broken."}


def problem(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"].rpartition(":")[2])


def test_a_client_above_its_rate_is_asked_to_wait(stack: RunningStack) -> None:
    with stack.client_limits(rateLimit=1, burstLimit=1), ThreadPoolExecutor() as pool:
        answers = list(
            pool.map(lambda _: stack.send_as_service("POST", "/service/support-request", TICKET), range(8))
        )

    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert {answer.status_code for answer in answers} == {202, 429}
    assert {problem(answer) for answer in refused} == {"throttled"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)


def test_a_client_whose_quota_is_used_up_is_told_so(stack: RunningStack) -> None:
    # A rate at which no earlier request counts any more.
    with stack.client_limits(quota=1, rateLimit=1000, burstLimit=1000):
        stack.send_as_service("POST", "/service/support-request", TICKET)
        before = len(stack.executions())
        answer = stack.send_as_service("POST", "/service/support-request", TICKET)

        assert (answer.status_code, problem(answer)) == (429, "quota-exceeded")
        assert int(answer.headers["retry-after"]) > 0
        assert len(stack.executions()) == before


def test_the_key_of_a_client_is_counted_and_one_that_is_not_in_the_plan_is_refused(
    stack: RunningStack,
) -> None:
    key = stack.stack.client("apigateway").create_api_key(name="not-in-the-plan", enabled=True)

    answer = stack.send_as_service("POST", "/service/support-request", TICKET, api_key=key["value"])

    assert (answer.status_code, problem(answer)) == (403, "invalid-api-key")


def test_a_key_without_a_signature_opens_nothing(stack: RunningStack) -> None:
    key = json.loads((stack.folder / "service.json").read_text())["apiKey"]

    answer = stack.http.post("/service/support-request", json=TICKET, headers={"x-api-key": key})

    assert (answer.status_code, problem(answer)) == (403, "invalid-signature")


def test_a_body_that_was_changed_after_signing_is_refused(stack: RunningStack) -> None:
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
