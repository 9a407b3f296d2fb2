"""The graph of a state machine: its states and transitions, from the definition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def parse_graph(definition: str) -> dict[str, Any]:
    """`start`, the types of all `states`, and the `edges` as lists of source, target, and next or catch."""
    machine = json.loads(definition)
    states = dict(_states(machine))
    # The first transition between two states decides how it is drawn.
    edges = {edge[:2]: edge for edge in reversed(list(_edges(states)))}
    types = {name: state["Type"] for name, state in states.items()}
    return {"start": machine["StartAt"], "states": types, "edges": list(reversed(edges.values()))}


def _states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        for inner in _inner_machines(state):
            yield from _states(inner)


def _inner_machines(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]


def _edges(states: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for name, state in states.items():
        targets = [inner["StartAt"] for inner in _inner_machines(state)]
        targets += [state[field] for field in ("Next", "Default") if field in state]
        targets += [rule["Next"] for rule in state.get("Choices", [])]
        yield from ((name, target, "next") for target in targets)
        yield from ((name, rule["Next"], "catch") for rule in state.get("Catch", []))
