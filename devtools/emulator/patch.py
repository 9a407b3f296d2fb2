"""Replace parts of the emulator, and fail with a clear error when a part has changed.

The extensions replace private names of the emulator. If another release lacks or changes one of them, the
emulator must not start: an extension would silently have no effect.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from importlib.metadata import version
from typing import Any

EMULATOR = "ministack"
TESTED_VERSION = "1.5.33"


class EmulatorChangedError(RuntimeError):
    """The emulator differs from the one that the extensions were written for."""


def check_version() -> None:
    """Raise EmulatorChangedError unless the tested release of the emulator is installed."""
    installed = version(EMULATOR)
    if installed != TESTED_VERSION:
        raise EmulatorChangedError(
            f"devtools/emulator was tested with {EMULATOR} {TESTED_VERSION}, but {installed} is installed. "
            "Install the tested release, or run the tests of devtools/emulator and change TESTED_VERSION."
        )


def replace(owner: Any, name: str, new: Any) -> None:
    """Replace the existing attribute `name` of a module or class."""
    if not hasattr(owner, name):
        raise EmulatorChangedError(f"{_name(owner)} has no {name}: devtools/emulator cannot patch it.")
    setattr(owner, name, new)


def add(table: dict[str, Any], key: str, new: Any) -> None:
    """Add an entry that a dictionary of the emulator lacks."""
    if key in table:
        raise EmulatorChangedError(
            f"The emulator already has {key}: remove the extension that adds it from devtools/emulator."
        )
    table[key] = new


def wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Wrap a function; the wrapper gets the original function as its first argument.

    The wrapper's named parameters must be the first ones of the original.
    """
    setattr(owner, name, _wrapped(_name(owner), name, getattr(owner, name, None), wrapper))


def wrap_handler(owner: Any, table: str, path: Sequence[str], wrapper: Callable[..., Any]) -> None:
    """Wrap the function at `path` in the nested dictionary `table`, as wrap does."""
    *outer, name = path
    functions = getattr(owner, table, {})
    for key in outer:
        functions = functions.get(key, {})
    functions[name] = _wrapped(f"{_name(owner)}.{table}", ".".join(path), functions.get(name), wrapper)


def _wrapped(owner: str, name: str, original: Any, wrapper: Callable[..., Any]) -> Callable[..., Any]:
    if not callable(original):
        raise EmulatorChangedError(f"{owner} has no function {name}: devtools/emulator cannot patch it.")
    expected = _named_parameters(wrapper)[1:]
    actual = _named_parameters(original)
    if actual[: len(expected)] != expected:
        raise EmulatorChangedError(
            f"{owner}.{name} takes {actual}, not {expected}: devtools/emulator cannot patch it."
        )

    @wraps(original)
    def call_wrapper(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    return call_wrapper


def replace_constant(owner: Any, name: str, old: float, new: float) -> None:
    """Replace a number that occurs exactly once in a function's code, before the function is wrapped."""
    function = getattr(owner, name, None)
    if not inspect.isfunction(function):
        raise EmulatorChangedError(
            f"{_name(owner)} has no function {name}: devtools/emulator cannot patch it."
        )
    constants = function.__code__.co_consts
    if constants.count(old) != 1:
        raise EmulatorChangedError(
            f"{_name(owner)}.{name} has the constant {old} {constants.count(old)} times, not once: "
            "devtools/emulator cannot patch it."
        )
    replaced = tuple(new if constant == old else constant for constant in constants)
    function.__code__ = function.__code__.replace(co_consts=replaced)


def replace_line(owner: Any, name: str, line: str, new: str) -> None:
    """Replace a line that occurs exactly once in the string constant `name`."""
    text = getattr(owner, name, "")
    if text.count(line) != 1:
        raise EmulatorChangedError(
            f"{_name(owner)}.{name} has the line {line.strip()!r} {text.count(line)} times, not once: "
            "devtools/emulator cannot patch it."
        )
    setattr(owner, name, text.replace(line, new))


def _name(owner: Any) -> str:
    return str(getattr(owner, "__qualname__", owner.__name__))


def _named_parameters(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
