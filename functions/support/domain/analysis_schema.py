"""The JSON Schema of an analysis: the model's tool schema and the validator of its answer."""

import json
from importlib.resources import files
from typing import Any, cast


def _load(name: str) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(files("support.domain").joinpath(name).read_text("utf-8")))


def _schema(categories: dict[str, str]) -> dict[str, Any]:
    schema = _load("analysis.schema.json")
    schema["properties"]["category"] |= {
        "enum": list(categories),
        "description": "; ".join(f"{name}: {meaning}" for name, meaning in categories.items()),
    }
    return schema


CATEGORIES: dict[str, str] = _load("taxonomy.json")["categories"]
SCHEMA: dict[str, Any] = _schema(CATEGORIES)
MAX_RESPONSE: int = SCHEMA["properties"]["response"]["maxLength"]
URGENCIES: tuple[str, ...] = tuple(SCHEMA["properties"]["urgency"]["enum"])
