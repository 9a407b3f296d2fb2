"""Tunables in SSM Parameter Store, which operators change without a deployment."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from support.aws.errors import translated
from support.aws.telemetry import logger
from support.domain.errors import ConfigurationInvalid, ConfigurationUnavailable, PipelineError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

MAX_AGE_SECONDS = 300
PAUSE_SECONDS = 30


class NumberParameter:
    """A number in Parameter Store, read when it is first needed and again when it is `max_age` seconds old.

    After a failure Parameter Store is left alone for `pause` seconds: its outage must not slow every call.
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
        self._ask_again_at = 0.0

    def value(self) -> float:
        """The number; when it cannot be read again, the one that was read last.

        Raises:
            ConfigurationUnavailable: it was never read; a repeat may succeed.
            ConfigurationInvalid: it may not be read, does not exist, or is no number between the limits.
        """
        if self._text is None or time.monotonic() >= self._ask_again_at:
            self._text = self._read()
        return self._number(self._text)

    def _read(self) -> str:
        """The text in Parameter Store, or the one that was read last."""
        try:
            with translated(unavailable=ConfigurationUnavailable, rejected=ConfigurationInvalid):
                text = self._client.get_parameter(Name=self._name)["Parameter"]["Value"]
        except PipelineError as error:
            if self._text is None:
                raise
            logger.warning("parameter not refreshed", parameter=self._name, reason=str(error))
            self._ask_again_at = time.monotonic() + self._pause
            return self._text
        self._ask_again_at = time.monotonic() + self._max_age
        return text

    def _number(self, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not self._minimum <= number <= self._maximum:
            raise ConfigurationInvalid(
                f"{self._name} is {text!r}: it has to be a number from {self._minimum} to {self._maximum}."
            )
        return number
