"""Writes the report of a run: results.json, report.md, and one HTML page that needs nothing else."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from evals import plots
from evals.example import Dataset
from evals.results import FILE
from evals.scoring import MAX_REPLY_WORDS, Scored
from support.domain.analysis_schema import URGENCIES

HTML, MARKDOWN = "report.html", "report.md"
_MISTAKES = 20
_REPLIES = 12
_MAX_MATRIX = 20
_MAX_CONFUSIONS = 25

# Figure → its title, and its unit. Shares are shown as percentages.
TITLES = {
    "categoryAccuracy": ("category accuracy", "share"),
    "categoryMacroF1": ("category macro-F1", "score"),
    "urgencyAccuracy": ("urgency accuracy", "share"),
    "urgencyKappa": ("urgency kappa (quadratic weights)", "score"),
    "criticalRecall": ("recall of CRITICAL", "share"),
    "underTriage": ("under-triage: urgency too low", "share"),
    "overTriage": ("over-triage: urgency too high", "share"),
    "languageAccuracy": ("language tag right", "share"),
    "replyInLanguage": ("reply in the ticket's language", "share"),
    "replyWithinLength": (f"reply within {MAX_REPLY_WORDS} words", "share"),
    "calibrationError": ("expected calibration error", "score"),
    "answered": ("valid answers", "share"),
    "schemaFailures": ("no valid answer after retries", "share"),
    "refusals": ("refused by a content filter", "share"),
    "callsPerTicket": ("model calls per ticket", "number"),
    "inputTokens": ("input tokens per ticket", "number"),
    "outputTokens": ("output tokens per ticket", "number"),
    "latencyP50": ("model latency, p50", "ms"),
    "latencyP95": ("model latency, p95", "ms"),
    "usdPerThousand": ("price of 1,000 tickets", "USD"),
}
_FORMATS = {
    "share": "{:.1f} %",
    "points": "{:+.1f} points",
    "score": "{:.3f}",
    "number": "{:,.1f}",
    "ms": "{:,.0f} ms",
    "USD": "{:.4f} USD",
}
# The unit of a difference of shares.
DIFFERENCE_UNITS = {"share": "points"}
_HEADLINES = (
    "categoryAccuracy",
    "categoryMacroF1",
    "urgencyAccuracy",
    "urgencyKappa",
    "criticalRecall",
    "underTriage",
)
_GROUPS = {
    "Urgency": ("urgencyAccuracy", "urgencyKappa", "criticalRecall", "underTriage", "overTriage"),
    "Reply and language": ("languageAccuracy", "replyInLanguage", "replyWithinLength"),
    "Reliability, speed and cost": (
        "answered",
        "schemaFailures",
        "refusals",
        "callsPerTicket",
        "inputTokens",
        "outputTokens",
        "latencyP50",
        "latencyP95",
        "usdPerThousand",
    ),
}


def write(folder: Path, document: Mapping[str, Any], tickets: Dataset, replies: Mapping[str, str]) -> None:
    """Write the report's files into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    view = _view(document, tickets, replies)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"shown": shown, "interval": interval, "range": spread}
    templates.globals |= {"titles": TITLES, "whisker": plots.whisker}
    (folder / FILE).write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    for name in (HTML, MARKDOWN):
        text = templates.get_template(name).render(view)
        (folder / name).write_text(text, "utf-8", errors="replace")


def headline(document: Mapping[str, Any]) -> str:
    """The most important figures, one a line, for the terminal."""
    return "\n".join(
        [*notes(document), *(_line(document, name) for name in _HEADLINES if name in document["figures"])]
    )


def notes(document: Mapping[str, Any]) -> list[str]:
    """What a reader must know before the figures."""
    remarks = []
    if document["isStandIn"]:
        remarks.append(
            "No evidence of model quality: the answers come from the local stand-in's keyword rules, "
            "not from a model."
        )
    if document["isPartial"]:
        reasons = ", ".join(f"{number}: {reason}" for reason, number in document["unanswered"].items())
        remarks.append(f"Partial: some tickets have no answer ({reasons}).")
    return remarks


def shown(figure: Mapping[str, float | None], unit: str) -> str:
    """A figure's value in its unit; a dash without one."""
    return _shown(figure["value"], unit)


def spread(figure: Mapping[str, float | None], unit: str) -> str:
    """A figure's interval, such as `81 to 88 %`; empty without one."""
    if figure["low"] is None:
        return ""
    low, _, _ = _shown(figure["low"], unit).partition(" ")
    return f"{low} to {_shown(figure['high'], unit)}"


def interval(figure: Mapping[str, float | None], unit: str) -> str:
    """A figure's value and interval: `84.7 % (81.0 to 88.1 %)`."""
    return (
        f"{shown(figure, unit)} ({spread(figure, unit)})"
        if figure["low"] is not None
        else shown(figure, unit)
    )


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return _FORMATS[unit].format(100 * value if unit in ("share", "points") else value)


def _line(document: Mapping[str, Any], name: str) -> str:
    title, unit = TITLES[name]
    return f"{title:<36}{interval(document['figures'][name], unit)}"


def _view(document: Mapping[str, Any], tickets: Dataset, replies: Mapping[str, str]) -> dict[str, Any]:
    scored = [Scored.from_document(one) for one in document["tickets"]]
    figures = document["figures"]
    by_id = {example.id: example for example in tickets.examples}
    recommended = document["review"]["recommended"]
    marked = {"now": document["threshold"], "recommended": recommended["threshold"] if recommended else None}
    return {
        "run": document,
        "notes": notes(document),
        "headlines": [name for name in _HEADLINES if name in figures],
        "groups": {
            title: [name for name in names if name in figures]
            for title, names in _GROUPS.items()
            if any(name in figures for name in names)
        },
        "matrix": _matrix(scored, list(tickets.categories), "category"),
        "confusions": _confusions(scored),
        "urgencies": _matrix(scored, URGENCIES, "urgency") if "urgencyKappa" in figures else None,
        "curve": plots.coverage(document["review"]["curve"], marked),
        "reliability": plots.reliability(document["review"]["reliability"]),
        "at_threshold": _nearest(document["review"]["curve"], document["threshold"]),
        "shows_texts": not tickets.is_held_out,
        "mistakes": [(one, by_id[one.id]) for one in worst_mistakes(scored)],
        "wrong": sum(not one.is_right for one in scored),
        "replies": _sample(scored, by_id, replies),
    }


def worst_mistakes(scored: Sequence[Scored]) -> list[Scored]:
    """The wrong answers, worst first: urgency most too low, then both labels wrong, then most confident."""

    def badness(one: Scored) -> tuple[int, int, float]:
        labels = (one.urgency, one.answered_urgency)
        too_low = URGENCIES.index(labels[0]) - URGENCIES.index(labels[1]) if all(labels) else 0
        wrong = (one.category != one.answered_category) + (labels[0] != labels[1])
        return max(too_low, 0), wrong, one.confidence or 0

    return sorted((one for one in scored if not one.is_right), key=badness, reverse=True)[:_MISTAKES]


def _matrix(scored: Sequence[Scored], names: Sequence[str], label: str) -> dict[str, Any] | None:
    """How often each label (row) got each answer (column); None if there are too many for a table."""
    if len(names) > _MAX_MATRIX:
        return None
    pairs = Counter((getattr(one, label), getattr(one, f"answered_{label}")) for one in scored)
    columns = [*names, *([None] if any(answer is None for _, answer in pairs) else [])]
    rows = []
    for name in names:
        total = sum(pairs[name, column] for column in columns)
        cells = [
            {
                "count": pairs[name, column],
                "share": pairs[name, column] / (total or 1),
                "right": name == column,
            }
            for column in columns
        ]
        rows.append({"name": name, "total": total, "cells": cells})
    return {"columns": [column or "no answer" for column in columns], "rows": rows}


def _confusions(scored: Sequence[Scored]) -> list[tuple[str, str, int]]:
    """The most frequent confusions of categories: label, answer, number."""
    pairs = Counter(
        (one.category, one.answered_category or "no answer")
        for one in scored
        if one.category != one.answered_category
    )
    return [(*pair, number) for pair, number in pairs.most_common(_MAX_CONFUSIONS)]


def _nearest(curve: Sequence[Mapping[str, Any]], threshold: float) -> Mapping[str, Any]:
    return min(curve, key=lambda point: abs(float(point["threshold"]) - threshold))


def _sample(
    scored: Sequence[Scored], by_id: Mapping[str, Any], replies: Mapping[str, str]
) -> list[tuple[Any, str]]:
    """Replies for a person to read, one after the other from each category."""
    candidates = [one for one in scored if one.id in replies and by_id[one.id].must_not_promise]
    seen: Counter[str] = Counter()
    order: list[tuple[int, int, Scored]] = []
    for one in candidates:
        order.append((seen[one.category], len(order), one))
        seen[one.category] += 1
    return [
        (by_id[one.id], replies[one.id]) for *_, one in sorted(order, key=lambda item: item[:2])[:_REPLIES]
    ]
