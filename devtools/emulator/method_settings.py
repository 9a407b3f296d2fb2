"""Settings of one method of a REST API, such as its throttle.

In CloudFormation a method setting's `ResourcePath` has `~1` for every slash but the first:
`/~1tickets~1{id}` is `/tickets/{id}`. The emulator keeps the path as it is and so never finds it. This
module decodes it, and like CloudFormation refuses a path with plain slashes.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ministack.services.cloudformation import provisioners

from devtools.emulator import guard


def install() -> None:
    """Extend the emulator."""
    guard.wrap(provisioners, "_apigw_method_settings", _method_settings)


def _method_settings(original: Callable[..., Any], raw: Any) -> Any:
    return original([_decoded(item) for item in raw] if isinstance(raw, list) else raw)


def _decoded(setting: Mapping[str, Any]) -> dict[str, Any]:
    path = setting.get("ResourcePath", "/*")
    if path in ("/", "/*"):
        return dict(setting)
    if not path.startswith("/~1") or "/" in path[1:]:
        raise ValueError(f"Invalid method setting path: {path} (write ~1 for each slash but the first)")
    return {**setting, "ResourcePath": path[1:].replace("~1", "/")}
