"""The JSON Schema of an analysis: it validates the model's answer, and describes the tool to the model."""

import json
from importlib.resources import files
from typing import Any, cast

# Keywords that only the validator needs. The model pays for every character, and follows the descriptions.
_LIMITS = {"minLength", "maxLength", "maxItems", "pattern", "minimum", "maximum"}


def _load(name: str) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(files("support.domain").joinpath(name).read_text("utf-8")))


def schema_for(categories: dict[str, str]) -> dict[str, Any]:
    """The schema of an analysis with these categories; the value is a category's description, or empty."""
    schema = _load("analysis.schema.json")
    schema["properties"]["category"] |= {
        "enum": list(categories),
        "description": "; ".join(f"{name}: {meaning}" for name, meaning in categories.items() if meaning),
    }
    return schema


def without_limits(schema: Any) -> Any:
    """The schema as the model sees it."""
    if not isinstance(schema, dict):
        return schema
    return {name: without_limits(value) for name, value in schema.items() if name not in _LIMITS}


CATEGORIES: dict[str, str] = _load("taxonomy.json")["categories"]
SCHEMA: dict[str, Any] = schema_for(CATEGORIES)
TOOL_SCHEMA: dict[str, Any] = without_limits(SCHEMA)
MAX_RESPONSE: int = SCHEMA["properties"]["response"]["maxLength"]
URGENCIES: tuple[str, ...] = tuple(SCHEMA["properties"]["urgency"]["enum"])
