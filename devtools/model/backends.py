"""Choose the backend that analyses the tickets by the environment variable MODEL.

Each backend is imported only if it is chosen, so that the stand-in starts quickly.
"""
# ruff: noqa: PLC0415

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

from devtools.model.converse import Backend, ConverseError


class ConfigurationError(Exception):
    """The chosen backend cannot work; the message is for the user's terminal."""


def choose_backend(environ: Mapping[str, str], timeout_seconds: float) -> Backend:
    """Return the backend for MODEL; `timeout_seconds` is how long it waits for its model.

    Raises ConfigurationError if the value is invalid, or if the model cannot be used.
    """
    model = environ.get("MODEL", "")
    if not model:
        return _rule_based()
    if model == "bedrock":
        return _bedrock(timeout_seconds)
    if _is_http_url(model):
        return _openai(model, environ.get("MODEL_NAME"), timeout_seconds)
    raise ConfigurationError(
        f"MODEL={model!r} is invalid: unset it for the built-in rules, or set it to 'bedrock' "
        "or to the http(s) URL of an OpenAI-compatible server."
    )


def _rule_based() -> Backend:
    from devtools.model.rule_based import RuleBasedBackend

    return RuleBasedBackend()


def _openai(url: str, model: str | None, timeout_seconds: float) -> Backend:
    from devtools.model.openai import OpenAIBackend

    backend = OpenAIBackend(url, model, timeout_seconds)
    try:
        asyncio.run(backend.check())
    except ConverseError as error:
        raise ConfigurationError(f"MODEL={url} cannot be used: {error.message}") from error
    return backend


def _bedrock(timeout_seconds: float) -> Backend:
    from botocore.exceptions import BotoCoreError

    from devtools.model.bedrock import BedrockBackend

    try:
        return BedrockBackend(timeout_seconds)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"MODEL=bedrock needs a usable AWS profile and region: {error}") from error


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
