"""Translates botocore's errors into the pipeline's."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from support.domain.errors import PermanentError, TransientError

# Errors that a retry may fix, although their HTTP status is 4xx.
_TRANSIENT_CODES = frozenset(
    {
        "InternalError",
        "InternalErrorException",
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
        # KMS, through an encrypted topic
        "KMSThrottling",
        "KMSThrottlingException",
    }
)


def is_transient(error: ClientError) -> bool:
    """Whether a retry may succeed: AWS throttled the call or failed."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error.response["Error"]["Code"] in _TRANSIENT_CODES or status >= 500 or status == 429


def describe(error: ClientError) -> str:
    """The error in one line: operation, code and AWS's message."""
    details = error.response["Error"]
    return f"{error.operation_name}: {details['Code']}: {details.get('Message', '')}"


@contextmanager
def translate_errors(*, unavailable: type[TransientError], rejected: type[PermanentError]) -> Iterator[None]:
    """Raise `unavailable` when a retry of the AWS call may succeed, `rejected` when it cannot."""
    try:
        yield
    except ClientError as error:
        raise (unavailable if is_transient(error) else rejected)(describe(error)) from error
    except (HTTPClientError, ConnectionError) as error:
        raise unavailable(f"No response from AWS: {type(error).__name__}") from error
    except BotoCoreError as error:
        raise rejected(f"The call was not sent: {type(error).__name__}") from error
