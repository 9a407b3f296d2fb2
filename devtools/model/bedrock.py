"""The backend that forwards calls to Amazon Bedrock with the user's own AWS profile."""

import asyncio

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from devtools.model.converse import Answer, ConverseError, ConverseRequest


class BedrockBackend:
    """Forwards each call to Bedrock without retries, which are left to the caller.

    Configured endpoints are ignored, because the local stack sets AWS_ENDPOINT_URL_BEDROCK_RUNTIME to this
    stand-in. `endpoint_url` replaces the real endpoint in tests. The constructor raises a BotoCoreError if
    the AWS profile, its region or its credentials are missing.
    """

    name = "bedrock"

    def __init__(self, timeout_seconds: float, endpoint_url: str | None = None) -> None:
        session = boto3.Session()
        if session.get_credentials() is None:
            raise NoCredentialsError
        self._client = session.client(
            "bedrock-runtime",
            endpoint_url=endpoint_url,
            config=Config(
                ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # missing in the stubs
                connect_timeout=5,
                read_timeout=timeout_seconds,
                retries={"total_max_attempts": 1, "mode": "standard"},
            ),
        )
        request = self._client.meta.service_model.operation_model("Converse").input_shape
        self._members = frozenset(request.members if request else ())

    async def converse(self, request: ConverseRequest) -> Answer:
        """Return Bedrock's answer. Raises ConverseError with the code and status of Bedrock's error."""
        return await asyncio.to_thread(self._converse, request)

    def _converse(self, request: ConverseRequest) -> Answer:
        supported = {name: value for name, value in request.body.items() if name in self._members}
        try:
            response = self._client.converse(**supported | {"modelId": request.model_id})
        except ClientError as error:
            raise _forwarded_error(error) from error
        except BotoCoreError as error:
            raise ConverseError(_code(error), str(error)) from error
        return Answer(
            content=[dict(block) for block in response["output"]["message"]["content"]],
            stop_reason=response["stopReason"],
            input_tokens=response["usage"]["inputTokens"],
            output_tokens=response["usage"]["outputTokens"],
        )


def _forwarded_error(error: ClientError) -> ConverseError:
    response = error.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return ConverseError(response["Error"]["Code"], response["Error"]["Message"], status)


def _code(error: BotoCoreError) -> str:
    match error:
        case ParamValidationError():
            return "ValidationException"
        case ReadTimeoutError():
            return "ModelTimeoutException"
        case ConnectionError() | HTTPClientError():
            return "ServiceUnavailableException"
        case _:
            # The remaining errors are incomplete or expired credentials.
            return "AccessDeniedException"
