"""Fault injection: what the caller gets, and how it is counted."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from botocore.exceptions import ClientError

from devtools.model.faults import parse_faults

if TYPE_CHECKING:
    from devtools.model.tests.conftest import StandIn

KINDS = ("throttle", "malformed", "truncated", "slow", "deny", "error", "prompt_injection")


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("throttle", "ThrottlingException", 429),
        ("deny", "AccessDeniedException", 403),
        ("error", "InternalServerException", 500),
    ],
)
def test_a_refused_call_raises_bedrocks_exception_in_boto3(
    stand_in: StandIn, call: dict[str, Any], kind: str, code: str, status: int
) -> None:
    stand_in.set_faults({kind: 1.0})

    with pytest.raises(getattr(stand_in.bedrock.exceptions, code)) as raised:
        stand_in.converse(call)

    assert isinstance(raised.value, ClientError)
    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["Error"]["Message"]
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert stand_in.calls() == {"total": 1, kind: 1}


def test_a_malformed_answer_is_a_tool_call_that_violates_the_schema(
    stand_in: StandIn, call: dict[str, Any], schema: dict[str, Any]
) -> None:
    stand_in.set_faults({"malformed": 1})

    response = stand_in.converse(call)

    tool_input = response["output"]["message"]["content"][0]["toolUse"]["input"]
    assert response["stopReason"] == "tool_use"
    assert not jsonschema.Draft202012Validator(schema).is_valid(tool_input)
    assert stand_in.calls() == {"total": 1, "malformed": 1}


def test_a_truncated_answer_stops_at_max_tokens_without_a_usable_input(
    stand_in: StandIn, call: dict[str, Any]
) -> None:
    stand_in.set_faults({"truncated": 1})

    response = stand_in.converse(call)

    assert response["stopReason"] == "max_tokens"
    assert response["output"]["message"]["content"][0]["toolUse"]["input"] == {}
    assert stand_in.calls() == {"total": 1, "truncated": 1}


def test_a_slow_answer_arrives_after_the_delay(stand_in: StandIn, call: dict[str, Any]) -> None:
    stand_in.set_faults({"slow": 1})

    response = stand_in.converse(call)

    assert response["stopReason"] == "tool_use"
    assert response["metrics"]["latencyMs"] >= 200
    assert stand_in.calls() == {"total": 1, "slow": 1}


def test_the_next_calls_fail_in_the_given_order(stand_in: StandIn, call: dict[str, Any]) -> None:
    stand_in.set_faults({"next": {"throttle": 2, "deny": 1}})

    outcomes = stand_in.outcomes(call, times=4)

    assert outcomes == ["ThrottlingException", "ThrottlingException", "AccessDeniedException", "ok"]
    assert stand_in.calls() == {"total": 4, "throttle": 2, "deny": 1, "ok": 1}


def test_faults_of_the_next_calls_precede_the_probabilities(stand_in: StandIn, call: dict[str, Any]) -> None:
    stand_in.set_faults({"next": {"throttle": 1}, "deny": 1.0})

    outcomes = stand_in.outcomes(call, times=3)

    assert outcomes == ["ThrottlingException", "AccessDeniedException", "AccessDeniedException"]


def test_an_invalid_call_uses_up_no_fault(stand_in: StandIn, call: dict[str, Any]) -> None:
    stand_in.set_faults({"next": {"throttle": 1}})

    stand_in.post("/model/m/converse", b"{}")

    assert stand_in.outcomes(call, times=2) == ["ThrottlingException", "ok"]


def test_a_seed_makes_the_probabilities_repeatable(stand_in: StandIn, call: dict[str, Any]) -> None:
    runs = []
    for _ in range(2):
        stand_in.set_faults({"throttle": 0.4, "deny": 0.3, "seed": 7})
        runs.append(stand_in.outcomes(call, times=40))

    assert runs[0] == runs[1]
    counts = Counter(runs[0])
    assert counts["ThrottlingException"] > counts["AccessDeniedException"] > 0
    assert counts["ok"] > 0


def test_new_faults_replace_all_earlier_ones(stand_in: StandIn, call: dict[str, Any]) -> None:
    stand_in.set_faults({"throttle": 1.0, "next": {"error": 5}})
    stand_in.set_faults({"next": {"deny": 1}})

    assert stand_in.outcomes(call, times=2) == ["AccessDeniedException", "ok"]


def test_an_empty_object_clears_all_faults(stand_in: StandIn, call: dict[str, Any]) -> None:
    stand_in.set_faults({"throttle": 1.0})
    stand_in.set_faults({})

    assert stand_in.outcomes(call, times=1) == ["ok"]


def test_calls_above_the_quota_are_throttled(stand_in: StandIn, call: dict[str, Any]) -> None:
    stand_in.set_faults({"quota": {"perSecond": 0.001, "burst": 2}})

    assert stand_in.outcomes(call, times=2) == ["ok", "ok"]
    with pytest.raises(stand_in.bedrock.exceptions.ThrottlingException) as raised:
        stand_in.converse(call)

    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert stand_in.calls() == {"total": 3, "ok": 2, "throttle": 1}


def test_an_empty_object_clears_the_quota(stand_in: StandIn, call: dict[str, Any]) -> None:
    stand_in.set_faults({"quota": {"perSecond": 0.001, "burst": 1}})
    stand_in.set_faults({})

    assert stand_in.outcomes(call, times=3) == ["ok"] * 3


class Clock:
    """A clock in seconds that only the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("seconds", "refilled"), [(0, 0), (0.4, 0), (0.5, 1), (1, 2), (1.4, 2), (60, 3)])
def test_the_quota_is_refilled_each_second_up_to_the_burst(seconds: float, refilled: int) -> None:
    clock = Clock()
    faults = parse_faults({"quota": {"perSecond": 2, "burst": 3}}, clock)
    assert [faults.draw() for _ in range(4)] == [None, None, None, "throttle"]

    clock.now += seconds

    assert [faults.draw() for _ in range(4)] == [None] * refilled + ["throttle"] * (4 - refilled)


def test_a_refused_call_uses_up_no_quota() -> None:
    clock = Clock()
    faults = parse_faults({"quota": {"perSecond": 1, "burst": 1}}, clock)
    faults.draw()
    for _ in range(10):
        clock.now += 0.1
        fault = faults.draw()

    assert fault is None


def test_a_call_above_the_quota_uses_up_no_other_fault() -> None:
    clock = Clock()
    faults = parse_faults({"quota": {"perSecond": 1, "burst": 1}, "next": {"deny": 2}, "error": 1}, clock)
    drawn = []
    for _ in range(3):
        drawn += [faults.draw(), faults.draw()]
        clock.now += 1

    assert drawn == ["deny", "throttle", "deny", "throttle", "error", "throttle"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"explode": 1}', "'explode' is not a kind of fault"),
        ('{"next": {"explode": 1}}', "'explode' is not a kind of fault"),
        ('{"deny": 1.1}', "from 0 to 1"),
        ('{"deny": -0.1}', "from 0 to 1"),
        ('{"deny": NaN}', "from 0 to 1"),
        ('{"deny": "0.5"}', "from 0 to 1"),
        ('{"deny": true}', "from 0 to 1"),
        ('{"deny": 0.6, "throttle": 0.6}', "more than 1"),
        ('{"next": {"deny": -1}}', "a non-negative integer"),
        ('{"next": {"deny": 1.5}}', "a non-negative integer"),
        ('{"next": {"deny": true}}', "a non-negative integer"),
        ('{"next": 2}', '"next" must be an object'),
        ('{"quota": 2}', '"quota" must be an object with "perSecond" and "burst"'),
        ('{"quota": null}', '"quota" must be an object'),
        ('{"quota": {"perSecond": 2}}', '"quota" must be an object'),
        ('{"quota": {"perSecond": 2, "burst": 2, "perDay": 2}}', '"quota" must be an object'),
        ('{"quota": {"perSecond": 0, "burst": 2}}', "a positive number"),
        ('{"quota": {"perSecond": NaN, "burst": 2}}', "a positive number"),
        ('{"quota": {"perSecond": Infinity, "burst": 2}}', "a positive number"),
        ('{"quota": {"perSecond": true, "burst": 2}}', "a positive number"),
        ('{"quota": {"perSecond": "2", "burst": 2}}', "a positive number"),
        ('{"quota": {"perSecond": 2, "burst": 0}}', "a positive integer"),
        ('{"quota": {"perSecond": 2, "burst": 1.5}}', "a positive integer"),
        ('{"seed": "x"}', '"seed" must be an integer'),
        ("[]", "must be a JSON object"),
        ("deny", "not JSON"),
        ("", "not JSON"),
    ],
)
def test_invalid_faults_are_refused_and_the_earlier_ones_kept(
    stand_in: StandIn, call: dict[str, Any], body: str, reason: str
) -> None:
    stand_in.set_faults({"next": {"throttle": 1}})

    response = stand_in.post("/faults", body.encode())

    assert response.status_code == 400
    assert reason in response.json()["message"]
    assert stand_in.outcomes(call, times=2) == ["ThrottlingException", "ok"]


def test_probabilities_may_add_up_to_exactly_one(stand_in: StandIn) -> None:
    stand_in.set_faults(dict.fromkeys(("throttle", "malformed", "truncated"), 0.1) | {"deny": 0.7})


def test_all_outcomes_are_counted_and_the_counts_can_be_reset(
    stand_in: StandIn, call: dict[str, Any]
) -> None:
    address, zero = f"{stand_in.url}/calls", dict.fromkeys(("total", "ok", "invalid", *KINDS), 0)

    stand_in.converse(call)

    assert stand_in.http.get(address).json() == zero | {"total": 1, "ok": 1}
    assert stand_in.http.delete(address).status_code == 204
    assert stand_in.http.get(address).json() == zero


@pytest.fixture(scope="module")
def process(run: Callable[..., subprocess.Popen[str]]) -> subprocess.Popen[str]:
    """A stand-in whose slow answers take ten minutes."""
    return run("-m", "devtools.model", "--port", "0", MODEL_SLOW_SECONDS="600")


@pytest.fixture(scope="module")
def endless(process: subprocess.Popen[str], reach: Callable[[subprocess.Popen[str]], StandIn]) -> StandIn:
    stand_in = reach(process)
    stand_in.set_faults({"slow": 1})
    return stand_in


def test_a_slow_call_is_cancelled_when_the_caller_disconnects(endless: StandIn, call: dict[str, Any]) -> None:
    connection = _start_call(endless, call)
    connection.close()

    deadline = time.monotonic() + 10
    while endless.calls() != {"total": 1, "slow": 1}:
        assert time.monotonic() < deadline, "the call continues although the caller has disconnected"


def test_a_slow_call_is_cancelled_when_the_server_stops(
    process: subprocess.Popen[str], endless: StandIn, call: dict[str, Any]
) -> None:
    connection = _start_call(endless, call)

    process.send_signal(signal.SIGTERM)

    response = connection.getresponse()
    assert (response.status, response.headers["x-amzn-errortype"]) == (503, "ServiceUnavailableException")
    connection.close()
    assert process.communicate(timeout=10) == ("", "")


def _start_call(stand_in: StandIn, call: dict[str, Any]) -> http.client.HTTPConnection:
    """Send a call without waiting for its answer; returns when the server has read it."""
    connection = http.client.HTTPConnection(stand_in.url.removeprefix("http://"), timeout=10)
    connection.request("POST", "/model/amazon.nova-lite-v1%3A0/converse", json.dumps(call))
    # The server reads its connections in order: when it responds on a later one, it has read this one.
    stand_in.health()
    return connection
