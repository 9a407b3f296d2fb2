"""Which backend reads the tickets, as the environment variable MODEL says.

Each is imported only when it is chosen: a newcomer waits for what is started, not for what is not.
"""
# ruff: noqa: PLC0415

from collections.abc import Mapping
from urllib.parse import urlsplit

from devtools.model.converse import Backend


class ConfigurationError(Exception):
    """The environment does not say clearly which model to use; the message is for the user's terminal."""


def choose_backend(environ: Mapping[str, str], timeout_seconds: float) -> Backend:
    """Return the backend that MODEL names; raise ConfigurationError for any other value.

    `timeout_seconds` is how long a backend waits for the model behind it.
    """
    model = environ.get("MODEL", "")
    if not model:
        return _rules()
    if model == "bedrock":
        return _bedrock(timeout_seconds)
    if _is_web_address(model):
        return _openai(model, environ.get("MODEL_NAME"), timeout_seconds)
    raise ConfigurationError(
        f"MODEL={model!r} is unknown: unset it for the built-in rules, or set it to 'bedrock' "
        "or to the http(s) URL of an OpenAI-compatible server."
    )


def _rules() -> Backend:
    from devtools.model.rules import RulesBackend

    return RulesBackend()


def _openai(url: str, model: str | None, timeout_seconds: float) -> Backend:
    from devtools.model.openai import OpenAIBackend

    return OpenAIBackend(url, model, timeout_seconds)


def _bedrock(timeout_seconds: float) -> Backend:
    from botocore.exceptions import BotoCoreError

    from devtools.model.bedrock import BedrockBackend

    try:
        return BedrockBackend(timeout_seconds)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"MODEL=bedrock needs a usable AWS profile and region: {error}") from error


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
