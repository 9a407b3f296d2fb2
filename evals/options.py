"""The options of `make eval`: variables in the environment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from evals.errors import UsageError
from support.domain.token_prices import TokenPrices

# The template's default of ReviewThreshold.
DEFAULT_THRESHOLD = 0.6
_DEFAULT_TARGET = 0.95
_DEFAULT_MAX_USD = 1.0
_DEFAULT_CONCURRENCY = 4
BASELINE, BEDROCK = "baseline", "bedrock"
_FLAGS = {"": False, "0": False, "1": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure, on what, and how; `model` is empty for the stand-in."""

    model: str
    model_id: str | None
    data: Path | None
    columns: str
    taxonomy: Path | None
    train: Path | None
    held_out: bool
    limit: int | None
    max_usd: float
    prices: TokenPrices | None
    concurrency: int
    threshold: float
    target: float
    out: Path | None

    @classmethod
    def parse(cls, environment: Mapping[str, str]) -> "Options":
        """Read the options; empty variables are ignored. Raises UsageError: it names the option."""
        values = {name: value for name, value in environment.items() if value}
        options = cls(
            model=values.get("MODEL", ""),
            model_id=values.get("MODEL_ID"),
            data=_path(values, "DATA"),
            columns=values.get("MAPPING", ""),
            taxonomy=_path(values, "TAXONOMY"),
            train=_path(values, "TRAIN"),
            held_out=_flag(values, "HELD_OUT"),
            limit=int(_number(values, "LIMIT", 1, 1_000_000)) if "LIMIT" in values else None,
            max_usd=_number(values, "MAX_USD", 0, 1_000_000, _DEFAULT_MAX_USD),
            prices=_prices(values),
            concurrency=int(_number(values, "CONCURRENCY", 1, 64, _DEFAULT_CONCURRENCY)),
            threshold=_number(values, "THRESHOLD", 0, 1, DEFAULT_THRESHOLD),
            target=_number(values, "TARGET", 0, 1, _DEFAULT_TARGET),
            out=_path(values, "OUT"),
        )
        options._require_consistent()
        return options

    def _require_consistent(self) -> None:
        is_server = urlsplit(self.model).scheme in ("http", "https")
        if self.model not in ("", BASELINE, BEDROCK) and not is_server:
            raise UsageError(
                f"MODEL={self.model} is unknown: leave it out for the stand-in, or set it to bedrock, "
                "baseline, or the http(s) URL of an OpenAI-compatible server."
            )
        if self.data is None and (self.columns or self.taxonomy or self.train):
            raise UsageError("MAPPING, TAXONOMY and TRAIN describe a foreign set: set DATA=<file>.csv too.")
        if self.data and self.held_out:
            raise UsageError("HELD_OUT=1 is the held-out part of the gold set: leave out DATA.")
        if self.train and self.model != BASELINE:
            raise UsageError("TRAIN is what the baseline learns from: set MODEL=baseline.")
        if self.data and not self.model:
            raise UsageError(
                "The stand-in's rules know only this project's categories: for DATA, set MODEL=baseline, "
                "MODEL=bedrock, or the URL of an OpenAI-compatible server."
            )


def _path(values: Mapping[str, str], name: str) -> Path | None:
    return Path(values[name]) if name in values else None


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name, "")
    if text not in _FLAGS:
        raise UsageError(f"{name} must be 1, or left out, not {text}.")
    return _FLAGS[text]


def _number(
    values: Mapping[str, str], name: str, minimum: float, maximum: float, default: float = math.nan
) -> float:
    try:
        number = float(values.get(name, default))
    except ValueError:
        number = math.nan
    if not minimum <= number <= maximum:
        raise UsageError(f"{name} must be a number from {minimum} to {maximum}, not {values.get(name)}.")
    return number


def _prices(values: Mapping[str, str]) -> TokenPrices | None:
    text = values.get("TOKEN_PRICES")
    try:
        return TokenPrices.parse(text) if text else None
    except ValueError as error:
        raise UsageError(
            f"TOKEN_PRICES must be two numbers, USD per million input and output tokens, not {text}."
        ) from error
