"""The name of an execution: which AWS takes.

On AWS a name has 1 to 80 characters and none of white space, `< > { } [ ] ? * " # % \\ ^ | ~ ` $ & , ; : /`,
control characters and surrogates: InvalidName otherwise. The emulator takes any name, and makes one up for
an empty one.
"""

import re
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import stepfunctions

from devtools.emulator import guard

Json = dict[str, Any]

_NAME = re.compile(r"""[^\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]{1,80}""")


def install() -> None:
    """Extend the emulator."""
    guard.wrap(stepfunctions, "_start_execution", _start)
    guard.wrap(stepfunctions, "_start_sync_execution", _start)


def _start(original: Callable[..., Any], data: Json) -> Any:
    name = data.get("name")
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        return error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
    return original(data)
