"""The graph has every state and every transition of the definition, each once."""

import json
from pathlib import Path

import yaml

from console.graph import Edge, Graph

ASL = Path(__file__).parents[2] / "statemachine" / "ticket_pipeline.asl.yaml"


def test_the_pipelines_graph_has_every_state_and_its_catches_and_choices() -> None:
    definition = yaml.safe_load(ASL.read_text())

    graph = Graph.parse(json.dumps(definition))

    assert graph.start == "Store Ticket"
    assert graph.states.keys() == definition["States"].keys()
    assert Edge("Store Ticket", "Already Processed?") in graph.edges
    assert Edge("Store Ticket", "Record Failure", "catch") in graph.edges
    assert Edge("Already Processed?", "Classify Ticket") in graph.edges
    pairs = [(edge.source, edge.target) for edge in graph.edges]
    assert len(pairs) == len(set(pairs))


def test_branches_and_maps_are_part_of_the_graph() -> None:
    inner = {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": True}}}
    states = {
        "A": {"Type": "Parallel", "Branches": [inner], "Next": "C"},
        "C": {
            "Type": "Map",
            "ItemProcessor": {"StartAt": "D", "States": {"D": {"Type": "Succeed"}}},
            "End": True,
        },
    }

    graph = Graph.parse(json.dumps({"StartAt": "A", "States": states}))

    assert graph.states == {"A": "Parallel", "B": "Pass", "C": "Map", "D": "Succeed"}
    assert graph.edges == [Edge("A", "B"), Edge("A", "C"), Edge("C", "D")]
