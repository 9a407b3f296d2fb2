"""State machine definitions may be YAML.

AWS takes a state machine's definition file as JSON or as YAML. The emulator stores it as it is, and reads it
as JSON when an execution starts. This module turns it into JSON when the stack is deployed.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from ministack.services.cloudformation import provisioners

from devtools.emulator import guard


def install() -> None:
    """Extend the emulator."""
    guard.wrap(provisioners, "_sfn_definition", _definition)


def _definition(original: Callable[..., str], props: Mapping[str, Any]) -> str:
    return json.dumps(yaml.safe_load(original(props)))
