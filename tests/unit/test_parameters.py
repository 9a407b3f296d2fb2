"""Parameters: cached, kept during an outage, and rejected by name when they are invalid."""

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from support.aws import clients
from support.aws.parameters import NumberParameter
from support.domain.errors import ConfigurationInvalid, ConfigurationUnavailable

NAME = os.environ["REVIEW_THRESHOLD_PARAMETER"]


class Store:
    """Moto's Parameter Store; counts the reads and can fail them."""

    def __init__(self) -> None:
        self.reads = 0
        self.failure: tuple[int, str] | None = None

    def respond(self, **_: object) -> Any:
        self.reads += 1
        if self.failure is None:
            return None
        status, code = self.failure
        error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return SimpleNamespace(status_code=status), error

    @staticmethod
    def put(value: str) -> None:
        boto3.client("ssm").put_parameter(Name=NAME, Value=value, Overwrite=True)


@pytest.fixture
def store(aws: None) -> Iterator[Store]:
    store = Store()
    clients.ssm().meta.events.register("before-call.ssm.GetParameter", store.respond)
    yield store
    clients.ssm().meta.events.unregister("before-call.ssm.GetParameter", store.respond)


def threshold(**ages: int) -> NumberParameter:
    return NumberParameter(clients.ssm(), NAME, minimum=0, maximum=1, **ages)


def test_the_value_is_cached(store: Store) -> None:
    parameter = threshold()

    assert [parameter.value(), parameter.value()] == [0.6, 0.6]
    assert store.reads == 1


def test_an_expired_value_is_read_again(store: Store) -> None:
    parameter = threshold(max_age=0)
    parameter.value()

    store.put("0.9")

    assert parameter.value() == 0.9


@pytest.mark.parametrize("failure", [(500, "InternalServerError"), (400, "AccessDeniedException")])
def test_the_cached_value_is_used_while_a_refresh_fails(
    store: Store, caplog: pytest.LogCaptureFixture, failure: tuple[int, str]
) -> None:
    parameter = threshold(max_age=0)
    parameter.value()
    store.failure = failure

    assert [parameter.value(), parameter.value()] == [0.6, 0.6]
    (warning,) = caplog.records
    assert (warning.levelname, vars(warning)["parameter"]) == ("WARNING", NAME)
    assert store.reads == 2, "an outage does not slow down every call"


def test_a_failed_refresh_is_retried_after_the_pause(store: Store) -> None:
    parameter = threshold(max_age=0, pause=0)
    parameter.value()
    store.failure = (500, "InternalServerError")
    parameter.value()

    store.failure = None
    store.put("0.7")

    assert parameter.value() == 0.7


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        ((500, "InternalServerError"), ConfigurationUnavailable),
        ((400, "ThrottlingException"), ConfigurationUnavailable),
        ((400, "AccessDeniedException"), ConfigurationInvalid),
        ((400, "ParameterNotFound"), ConfigurationInvalid),
        ((400, "InvalidKeyId"), ConfigurationInvalid),
        ((400, "ParameterVersionNotFound"), ConfigurationInvalid),
    ],
)
def test_a_first_read_that_fails_raises_an_error(
    store: Store, failure: tuple[int, str], error: type[Exception]
) -> None:
    store.failure = failure

    with pytest.raises(error, match=failure[1]):
        threshold().value()


@pytest.mark.parametrize("value", ["high", "1.01", "-0.1", "nan", "inf"])
def test_a_value_that_is_not_a_number_in_range_is_invalid(store: Store, value: str) -> None:
    store.put(value)

    with pytest.raises(ConfigurationInvalid, match=NAME):
        threshold().value()


def test_a_refreshed_value_is_validated_too(store: Store) -> None:
    parameter = threshold(max_age=0)
    parameter.value()

    store.put("O.7")

    with pytest.raises(ConfigurationInvalid, match=r"O\.7.*from 0 to 1"):
        parameter.value()
