"""Parameters: cached, kept during an outage, and rejected by name when they are invalid."""

import os

import pytest

from support.aws import clients
from support.aws.parameters import NumberParameter
from support.domain.errors import ConfigurationInvalid, ConfigurationUnavailable
from tests.helpers.parameter_store import ParameterStore

NAME = os.environ["REVIEW_THRESHOLD_PARAMETER"]


def threshold(**ages: int) -> NumberParameter:
    return NumberParameter(clients.ssm(), NAME, minimum=0, maximum=1, **ages)


def test_the_value_is_cached(parameters: ParameterStore) -> None:
    parameter = threshold()

    assert [parameter.value(), parameter.value()] == [0.6, 0.6]
    assert parameters.reads == 1


def test_an_expired_value_is_read_again(parameters: ParameterStore) -> None:
    parameter = threshold(max_age=0)
    parameter.value()

    parameters.values[NAME] = "0.9"

    assert parameter.value() == 0.9


@pytest.mark.parametrize("failure", [(500, "InternalServerError"), (400, "AccessDeniedException")])
def test_the_cached_value_is_used_while_a_refresh_fails(
    parameters: ParameterStore, caplog: pytest.LogCaptureFixture, failure: tuple[int, str]
) -> None:
    parameter = threshold(max_age=0)
    parameter.value()
    parameters.failure = failure

    assert [parameter.value(), parameter.value()] == [0.6, 0.6]
    (warning,) = caplog.records
    assert (warning.levelname, vars(warning)["parameter"]) == ("WARNING", NAME)
    assert parameters.reads == 2, "an outage does not slow down every call"


def test_a_failed_refresh_is_retried_after_the_pause(parameters: ParameterStore) -> None:
    parameter = threshold(max_age=0, pause=0)
    parameter.value()
    parameters.failure = (500, "InternalServerError")
    parameter.value()

    parameters.failure = None
    parameters.values[NAME] = "0.7"

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
    parameters: ParameterStore, failure: tuple[int, str], error: type[Exception]
) -> None:
    parameters.failure = failure

    with pytest.raises(error, match=failure[1]):
        threshold().value()


@pytest.mark.parametrize("value", ["high", "1.01", "-0.1", "nan", "inf"])
def test_a_value_that_is_not_a_number_in_range_is_invalid(parameters: ParameterStore, value: str) -> None:
    parameters.values[NAME] = value

    with pytest.raises(ConfigurationInvalid, match=NAME):
        threshold().value()


def test_a_refreshed_value_is_validated_too(parameters: ParameterStore) -> None:
    parameter = threshold(max_age=0)
    parameter.value()

    parameters.values[NAME] = "O.7"

    with pytest.raises(ConfigurationInvalid, match=r"O\.7.*from 0 to 1"):
        parameter.value()
