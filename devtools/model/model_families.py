"""Request fields that Bedrock refuses because the called model's family does not support them.

Sources: Bedrock API reference, ToolChoice; the model cards; errors that users report.
"""

import re
from typing import Any

_NOVA = "amazon.nova"
# Opus 4.7 and later, and Claude 5 and later, accept no sampling parameter; Claude 4.1 and later accept one.
_CLAUDE_WITHOUT_SAMPLING = re.compile(r"anthropic\.claude-(opus-4-[7-9](?!\d)|[a-z]+-[5-9])")
_CLAUDE_WITH_ONE_SAMPLING_PARAMETER = re.compile(r"anthropic\.claude-[a-z]+-4-[1-9](?!\d)")
_TOOL_CHOICES = {
    _NOVA: {"auto", "any", "tool"},
    "anthropic.claude": {"auto", "any", "tool"},
    "mistral.": {"auto", "any"},
}


def supports_forced_tool(model_id: str) -> bool:
    """Whether a request may name the tool that the model has to call."""
    return "tool" in _tool_choices(model_id)


def unsupported_field_error(model_id: str, body: dict[str, Any]) -> str | None:
    """Return Bedrock's error message if the model's family does not support a field of the request body."""
    sampling = _names(body, "inferenceConfig") & {"temperature", "topP"}
    if sampling and _CLAUDE_WITHOUT_SAMPLING.search(model_id):
        name = {"temperature": "temperature", "topP": "top_p"}[min(sampling)]
        return f"The model returned the following errors: `{name}` is deprecated for this model."
    if len(sampling) == 2 and _CLAUDE_WITH_ONE_SAMPLING_PARAMETER.search(model_id):
        return (
            "The model returned the following errors: `temperature` and `top_p` cannot both be specified for "
            "this model. Please use only one."
        )
    if _NOVA not in model_id and "inferenceConfig" in _names(body, "additionalModelRequestFields"):
        return "The model returned the following errors: inferenceConfig: Extra inputs are not permitted"
    tools = body.get("toolConfig")
    chosen = _names(tools, "toolChoice") if isinstance(tools, dict) else set()
    if unsupported := sorted(chosen - _tool_choices(model_id)):
        field = f"toolConfig.toolChoice.{unsupported[0]}"
        return f"This model doesn't support the {field} field. Remove {field} and try again."
    return None


def _tool_choices(model_id: str) -> set[str]:
    return next((choices for name, choices in _TOOL_CHOICES.items() if name in model_id), {"auto"})


def _names(document: dict[str, Any], name: str) -> set[str]:
    value = document.get(name)
    return set(value) if isinstance(value, dict) else set()
