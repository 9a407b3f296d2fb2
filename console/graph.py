"""The graph of a state machine: nodes and edges from its definition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Edge:
    """A transition; `kind` is next or catch."""

    source: str
    target: str
    kind: str = "next"


@dataclass(frozen=True, slots=True)
class Graph:
    """The states by name with their type, and the transitions between them, each once."""

    start: str
    states: dict[str, str]
    edges: list[Edge]

    @classmethod
    def parse(cls, definition: str) -> Graph:
        """The graph of a definition in JSON. Raises ValueError or KeyError: it is none."""
        machine = json.loads(definition)
        states = dict(_states(machine))
        edges = {(edge.source, edge.target): edge for edge in reversed(list(_edges(states)))}
        types = {name: state["Type"] for name, state in states.items()}
        return cls(machine["StartAt"], types, list(reversed(edges.values())))


def _states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        for inner in _inner_machines(state):
            yield from _states(inner)


def _inner_machines(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]


def _edges(states: dict[str, dict[str, Any]]) -> Iterator[Edge]:
    for name, state in states.items():
        yield from (Edge(name, inner["StartAt"]) for inner in _inner_machines(state))
        yield from (Edge(name, state[field]) for field in ("Next", "Default") if field in state)
        yield from (Edge(name, rule["Next"]) for rule in state.get("Choices", []))
        yield from (Edge(name, rule["Next"], "catch") for rule in state.get("Catch", []))
