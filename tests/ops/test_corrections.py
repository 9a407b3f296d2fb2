"""Corrections become candidates for the gold set, without addresses, numbers, or a word on the terminal."""

import json
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.corrections import corrections, save_corrections
from ops.masking import NotMaskedError, mask
from support.aws.changes import TicketChanges
from support.domain.change import Change
from support.domain.ticket import Ticket
from tests.ops.conftest import ANALYSIS, ContextFactory, Pipeline, ago, submission

# The submissions of the events are old.
ALL = timedelta(days=9_999)


def correct(pipeline: Pipeline, ticket_id: str, **fields: Any) -> None:
    changes = TicketChanges(pipeline.target.dynamodb, pipeline.target.tickets_table)
    ticket = pipeline.table.get(ticket_id)
    assert ticket
    assert changes.change(ticket_id, Change(version=ticket.version, **fields), ago())


def test_a_corrected_ticket_is_saved_as_a_candidate_without_a_reason(
    pipeline: Pipeline, context: ContextFactory, tmp_path: Path, capsys: Any
) -> None:
    for ticket_id in ("t-1", "t-2"):
        pipeline.store(ticket_id, "Mail me at jo@shop.example or call +44 20 7946 0958.")
        pipeline.process(ticket_id)
    correct(pipeline, "t-1", urgency="LOW", category="ORDER")
    file = tmp_path / "candidates.jsonl"

    assert save_corrections(context(), ALL, file) == 0

    (candidate,) = map(json.loads, file.read_text().splitlines())
    assert (candidate["id"], candidate["urgency"], candidate["category"]) == ("t-1", "LOW", "ORDER")
    assert candidate["content"] == "Mail me at [address] or call [number]."
    assert candidate["model"]["category"] == ANALYSIS["category"]
    assert candidate["reason"] == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    output = capsys.readouterr().out
    assert "Saved 1 candidate in" in output
    assert "Mail me" not in output


def test_tickets_without_a_correction_write_no_file(
    pipeline: Pipeline, context: ContextFactory, tmp_path: Path, capsys: Any
) -> None:
    pipeline.store("t-1")
    pipeline.process("t-1")

    assert save_corrections(context(), ALL, tmp_path / "none.jsonl") == 0

    assert not (tmp_path / "none.jsonl").exists()
    assert "None of them" in capsys.readouterr().out


def test_a_rating_and_a_reply_of_an_agent_count_as_corrections() -> None:
    new = Ticket.from_submission(submission("t-1"), now=ago(), retention_days=0)
    analysed = replace(new, analysis=ANALYSIS, urgency=ANALYSIS["urgency"], category=ANALYSIS["category"])
    approved = replace(analysed, reply={"text": ANALYSIS["response"], "origin": "model", "at": ""})
    rewritten = replace(analysed, reply={"text": "My own.", "origin": "agent", "at": ""})
    rated = replace(analysed, feedback={"rating": 1, "givenAt": ""})

    assert [corrections(one) for one in (new, analysed, approved, rewritten, rated)] == [
        [],
        [],
        [],
        ["reply"],
        ["rating"],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Straße… siehe HTTPS://Shop.Example/Päckchen/ bitte", "Straße… siehe [address] bitte"),
        ("IBAN DE89 3704 0044 0532 0130 00, danke", "IBAN [number], danke"),
        ("Order 1234 of 12.03.2026 for 49.90 EUR", "Order 1234 of 12.03.2026 for 49.90 EUR"),
        ("a@b.example and a@b.example", "[address] and [address]"),
        ("Card 4111 1111 1111 1111, order 12345678", "Card [number], order [number]"),
    ],
)
def test_masking_keeps_everything_but_addresses_and_numbers(text: str, expected: str) -> None:
    assert mask(text) == expected


def test_a_text_with_an_address_in_words_is_refused() -> None:
    with pytest.raises(NotMaskedError):
        mask("write to me (at) shop[.]example")
