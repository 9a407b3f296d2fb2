"""Draws the report's plots as SVG, which takes its colours from the page's style sheet."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

_WIDTH, _HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 22, 12, 40
_TICKS = (0, 0.25, 0.5, 0.75, 1)

type Point = tuple[float, float]


def coverage(points: Sequence[Mapping[str, Any]], marked: Mapping[str, float | None]) -> Markup:
    """Accuracy among the tickets without review, against their share; `marked` names thresholds."""
    shown = [point for point in points if point["accuracy"]["value"] is not None]
    line = [(point["coverage"]["value"], point["accuracy"]["value"]) for point in shown]
    band = [(point["coverage"]["value"], point["accuracy"]["high"]) for point in shown] + [
        (point["coverage"]["value"], point["accuracy"]["low"]) for point in reversed(shown)
    ]
    parts = [
        f'<polygon class="band" points="{_points(band)}"/>',
        f'<polyline class="line" points="{_points(line)}"/>',
    ]
    parts += [
        _dot(place, f"threshold {point['threshold']}") for place, point in zip(line, shown, strict=True)
    ]
    for row, (name, threshold) in enumerate(marked.items()):
        for place, point in zip(line, shown, strict=True):
            if point["threshold"] == threshold:
                parts.append(_label(place, f"{name}: {threshold}", row))
    return _plot(parts, "share of tickets without review", "accuracy among them")


def reliability(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Accuracy against the stated confidence; the diagonal is a confidence that means what it says."""
    parts = [f'<polyline class="diagonal" points="{_points([(0, 0), (1, 1)])}"/>']
    for row in rows:
        x, low, high = row["confidence"], row["accuracy"]["low"], row["accuracy"]["high"]
        parts.append(f'<polyline class="whisker" points="{_points([(x, low), (x, high)])}"/>')
        parts.append(_dot((x, row["accuracy"]["value"]), f"{row['tickets']} tickets"))
    return _plot(parts, "confidence", "accuracy")


def whisker(figure: Mapping[str, float | None]) -> Markup:
    """A share (0..1) with its interval, on a line."""
    value, low, high = (100 * (figure[name] or 0) for name in ("value", "low", "high"))
    return Markup(  # noqa: S704 - made of numbers
        '<svg class="interval" viewBox="0 -5 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="axis" d="M0 0H100"/>'
        f'<path class="range" d="M{low:.1f} 0H{max(high, low + 0.5):.1f}"/>'
        f'<path class="mark" d="M{value:.1f} -4V4"/></svg>'
    )


def _plot(parts: Iterable[str], x_title: str, y_title: str) -> Markup:
    axes = []
    for tick in _TICKS:
        (x, bottom), (left, y) = _place((tick, 0)), _place((0, tick))
        axes += [
            f'<path class="grid" d="M{left} {y}H{_WIDTH - _RIGHT}"/>',
            f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{tick:.0%}</text>',
            f'<text x="{x}" y="{bottom + 17}" text-anchor="middle">{tick:.0%}</text>',
        ]
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    titles = [
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 5}" text-anchor="middle">{x_title}</text>',
        f'<text transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">{y_title}</text>',
    ]
    content = "".join([*axes, *titles, *parts])
    return Markup(  # noqa: S704 - made of numbers and our own texts
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{content}</svg>'
    )


def _dot(place: Point, title: str) -> str:
    x, y = _place(place)
    return f'<circle class="dot" cx="{x}" cy="{y}" r="3.5"><title>{title}</title></circle>'


def _label(place: Point, text: str, row: int) -> str:
    x, y = _place(place)
    bottom = _HEIGHT - _BOTTOM - 12 - 18 * row
    anchor, gap = ("end", -6) if x > _WIDTH / 2 else ("start", 6)
    return (
        f'<path class="marked" d="M{x} {y}V{bottom}"/><circle class="marked-dot" cx="{x}" cy="{y}" r="5"/>'
        f'<text class="marked-text" x="{x + gap}" y="{bottom}" text-anchor="{anchor}">{text}</text>'
    )


def _points(points: Iterable[Point]) -> str:
    return " ".join("{},{}".format(*_place(point)) for point in points)


def _place(point: Point) -> Point:
    x, y = point
    return (
        round(_LEFT + x * (_WIDTH - _LEFT - _RIGHT), 1),
        round(_HEIGHT - _BOTTOM - y * (_HEIGHT - _TOP - _BOTTOM), 1),
    )
