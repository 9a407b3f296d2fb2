"""The graph has every state and every transition of the definition, each once."""

import json
from pathlib import Path

import yaml

from console.graph import parse_graph

ASL = Path(__file__).parents[2] / "statemachine" / "ticket_pipeline.asl.yaml"


def test_the_pipelines_graph_has_every_state_and_its_catches_and_choices() -> None:
    definition = yaml.safe_load(ASL.read_text())

    graph = parse_graph(json.dumps(definition))

    assert graph["start"] == "Store Ticket"
    assert graph["states"].keys() == definition["States"].keys()
    assert ("Store Ticket", "Already Processed?", "next") in graph["edges"]
    assert ("Store Ticket", "Record Failure", "catch") in graph["edges"]
    assert ("Already Processed?", "Classify Ticket", "next") in graph["edges"]
    pairs = [edge[:2] for edge in graph["edges"]]
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

    graph = parse_graph(json.dumps({"StartAt": "A", "States": states}))

    assert graph["states"] == {"A": "Parallel", "B": "Pass", "C": "Map", "D": "Succeed"}
    assert graph["edges"] == [("A", "B", "next"), ("A", "C", "next"), ("C", "D", "next")]
