"""Settings in SSM Parameter Store, which operators change without a deployment."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from support.aws.error_translation import translate_errors
from support.aws.telemetry import logger
from support.domain.errors import ConfigurationInvalid, ConfigurationUnavailable, PipelineError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

MAX_AGE_SECONDS = 300
PAUSE_SECONDS = 30


class NumberParameter:
    """A number in Parameter Store, cached for `max_age` seconds.

    After a failed refresh the cached value stays in use, and the next attempt is made after `pause` seconds,
    so that an outage does not slow down every call.
    """

    def __init__(  # noqa: PLR0913
        self,
        client: SSMClient,
        name: str,
        *,
        minimum: float,
        maximum: float,
        max_age: int = MAX_AGE_SECONDS,
        pause: int = PAUSE_SECONDS,
    ) -> None:
        self._client = client
        self._name = name
        self._minimum, self._maximum = minimum, maximum
        self._max_age, self._pause = max_age, pause
        self._text: str | None = None
        self._refresh_at = 0.0

    def value(self) -> float:
        """The number; the cached one when a refresh fails.

        Raises:
            ConfigurationUnavailable: no value is cached; a retry may succeed.
            ConfigurationInvalid: the parameter does not exist, cannot be read, or is not a number in range.
        """
        if self._text is None or time.monotonic() >= self._refresh_at:
            self._text = self._read()
        return self._number(self._text)

    def _read(self) -> str:
        """The current text, or the cached one."""
        try:
            with translate_errors(unavailable=ConfigurationUnavailable, rejected=ConfigurationInvalid):
                text = self._client.get_parameter(Name=self._name)["Parameter"]["Value"]
        except PipelineError as error:
            if self._text is None:
                raise
            logger.warning("parameter not refreshed", parameter=self._name, reason=str(error))
            self._refresh_at = time.monotonic() + self._pause
            return self._text
        self._refresh_at = time.monotonic() + self._max_age
        return text

    def _number(self, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not self._minimum <= number <= self._maximum:
            raise ConfigurationInvalid(
                f"{self._name} is {text!r}; it must be a number from {self._minimum} to {self._maximum}."
            )
        return number
