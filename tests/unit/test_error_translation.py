"""Every documented error of AWS is mapped to one of the pipeline's errors."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from support.aws.error_translation import translate_errors
from support.aws.model import Guardrail, TriageModel
from support.domain.errors import (
    ModelRejected,
    ModelThrottled,
    ModelUnavailable,
    NotifyRejected,
    NotifyUnavailable,
    PipelineError,
    StoreRejected,
    StoreUnavailable,
)
from support.domain.token_prices import TokenPrices

# Common errors, which AWS documents for every service, in addition to those in botocore's service models.
COMMON = {
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
    "ThrottlingException": 400,
    "AccessDeniedException": 400,
}
STORE = {
    "InternalServerError": StoreUnavailable,
    "InvalidEndpointException": StoreRejected,
    "ItemCollectionSizeLimitExceededException": StoreUnavailable,
    "ProvisionedThroughputExceededException": StoreUnavailable,
    "ReplicatedWriteConflictException": StoreUnavailable,
    "RequestLimitExceeded": StoreUnavailable,
    "ResourceNotFoundException": StoreRejected,
    "ThrottlingException": StoreUnavailable,
    "TransactionConflictException": StoreUnavailable,
    "InternalFailure": StoreUnavailable,
    "ServiceUnavailable": StoreUnavailable,
    "AccessDeniedException": StoreRejected,
}
NOTIFY = {
    "AuthorizationErrorException": NotifyRejected,
    "EndpointDisabledException": NotifyRejected,
    "InternalErrorException": NotifyUnavailable,
    "InvalidParameterException": NotifyRejected,
    "InvalidParameterValueException": NotifyRejected,
    "InvalidSecurityException": NotifyRejected,
    "KMSAccessDeniedException": NotifyRejected,
    "KMSDisabledException": NotifyRejected,
    "KMSInvalidStateException": NotifyRejected,
    "KMSNotFoundException": NotifyRejected,
    "KMSOptInRequired": NotifyRejected,
    "KMSThrottlingException": NotifyUnavailable,
    "NotFoundException": NotifyRejected,
    "PlatformApplicationDisabledException": NotifyRejected,
    "ValidationException": NotifyRejected,
    "InternalFailure": NotifyUnavailable,
    "ServiceUnavailable": NotifyUnavailable,
    "ThrottlingException": NotifyUnavailable,
    "AccessDeniedException": NotifyRejected,
}
MODEL = {
    "AccessDeniedException": ModelRejected,
    "InternalServerException": ModelUnavailable,
    "ModelErrorException": ModelUnavailable,
    "ModelNotReadyException": ModelUnavailable,
    "ModelTimeoutException": ModelUnavailable,
    "ResourceNotFoundException": ModelRejected,
    "ServiceUnavailableException": ModelUnavailable,
    "ThrottlingException": ModelThrottled,
    "ValidationException": ModelRejected,
    "InternalFailure": ModelUnavailable,
    "ServiceUnavailable": ModelUnavailable,
}


def upstream(service: str, operation: str) -> dict[str, int]:
    """The error codes of an operation, with their HTTP status."""
    client: Any = boto3.client(service)  # type: ignore[call-overload]
    model = client.meta.service_model
    codes = dict(COMMON)
    for shape in model.operation_model(operation).error_shapes:
        error = shape.metadata.get("error", {})
        codes[shape.name] = error.get("httpStatusCode", 500 if shape.metadata.get("fault") else 400)
    codes.pop("ConditionalCheckFailedException", None)  # Not an error: the table handles it.
    return codes


def client_error(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Call",
    )


def raised(call: Callable[[], object]) -> type[PipelineError]:
    with pytest.raises(PipelineError) as caught:
        call()
    return caught.type


class FailingModel:
    """A Bedrock client that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def converse(self, **_: Any) -> Any:
        raise self._error


def store(error: Exception) -> None:
    with translate_errors(unavailable=StoreUnavailable, rejected=StoreRejected):
        raise error


def notify(error: Exception) -> None:
    with translate_errors(unavailable=NotifyUnavailable, rejected=NotifyRejected):
        raise error


def ask(error: Exception) -> None:
    TriageModel(FailingModel(error), "m", Guardrail("", ""), TokenPrices(0, 0)).ask("<ticket>")  # type: ignore[arg-type]


@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem", "GetItem"])
def test_every_error_of_dynamodb_is_mapped(operation: str) -> None:
    for code, status in upstream("dynamodb", operation).items():
        assert raised(lambda c=code, s=status: store(client_error(c, s))) is STORE[code], code  # type: ignore[misc]


def test_every_error_of_sns_is_mapped() -> None:
    for code, status in upstream("sns", "Publish").items():
        assert raised(lambda c=code, s=status: notify(client_error(c, s))) is NOTIFY[code], code  # type: ignore[misc]


def test_every_error_of_bedrock_is_mapped() -> None:
    for code, status in upstream("bedrock-runtime", "Converse").items():
        assert raised(lambda c=code, s=status: ask(client_error(c, s))) is MODEL[code], code  # type: ignore[misc]


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://aws"),
        EndpointConnectionError(endpoint_url="https://aws"),
        ReadTimeoutError(endpoint_url="https://aws"),
    ],
)
def test_a_missing_response_is_transient(error: Exception) -> None:
    assert raised(lambda: store(error)) is StoreUnavailable
    assert raised(lambda: notify(error)) is NotifyUnavailable
    assert raised(lambda: ask(error)) is ModelUnavailable


@pytest.mark.parametrize("error", [NoCredentialsError(), ParamValidationError(report="no")])
def test_a_call_that_was_not_sent_is_a_permanent_error(error: Exception) -> None:
    assert raised(lambda: store(error)) is StoreRejected
    assert raised(lambda: notify(error)) is NotifyRejected
    assert raised(lambda: ask(error)) is ModelRejected


def test_an_unknown_error_is_mapped_by_its_http_status() -> None:
    assert raised(lambda: store(client_error("NewThing", 503))) is StoreUnavailable
    assert raised(lambda: store(client_error("NewThing", 429))) is StoreUnavailable
    assert raised(lambda: store(client_error("NewThing", 400))) is StoreRejected


def test_other_exceptions_are_not_translated() -> None:
    with pytest.raises(ZeroDivisionError):
        store(ZeroDivisionError())
