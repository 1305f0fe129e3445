"""A small line of a value over some days with its interval, as the text of an SVG.

There are hundreds on one page, so they have no axis and their paths are relative whole numbers. Not here: charts with
axes (`driftlake.report.charts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

_WIDTH, _HEIGHT = 120, 28

Point = tuple[int, int]


def sparkline(rows: Sequence[Mapping[str, Any]], first_day: date, last_day: date) -> str:
    """Rows of sql/report/performance.sql of one version, drawn from `first_day` to `last_day`; a day without a row interrupts the line."""
    newest = rows[-1]
    ends = [
        newest[name] for name in ("confidence_low", "confidence_high", "baseline_value") if newest[name] is not None
    ]
    values = [*(row["value"] for row in rows), *ends]
    low, high = min(values), max(values)

    def place(row: Mapping[str, Any], column: str) -> Point:
        # intervals of the first days are much wider than the picture
        share = 0.5 if high == low else min(max((row[column] - low) / (high - low), 0), 1)
        days = max((last_day - first_day).days, 1)
        return round((row["dt"] - first_day).days / days * _WIDTH), round(1 + (1 - share) * (_HEIGHT - 2))

    runs = _runs(rows)
    with_interval = _runs([row for row in rows if row["confidence_low"] is not None and len(rows) > 1])
    bands = [
        [*(place(row, "confidence_high") for row in run), *(place(row, "confidence_low") for row in reversed(run))]
        for run in with_interval
    ]
    lines = [[place(row, "value") for row in run] for run in runs]
    baseline = (
        f'<path class="base" d="M0 {place(newest, "baseline_value")[1]}h{_WIDTH}"/>'
        if newest["baseline_value"] is not None
        else ""
    )
    x, y = lines[-1][-1]
    return (
        f'<svg class="spark" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">'
        f'<path class="band" d="{"".join(f"{_path(band)}z" for band in bands)}"/>{baseline}'
        f'<path d="{"".join(map(_path, lines))}"/><circle cx="{x}" cy="{y}" r="2"/></svg>'
    )


def _runs(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Rows of consecutive days."""
    runs: list[list[Mapping[str, Any]]] = []
    for row in rows:
        if runs and row["dt"] - runs[-1][-1]["dt"] == timedelta(days=1):
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def _path(points: Sequence[Point]) -> str:
    """`M` of the first point and the steps to the others, as short as SVG allows."""
    steps = "".join(_step(end[0] - start[0], end[1] - start[1]) for start, end in pairwise(points))
    return f"M{points[0][0]} {points[0][1]}{steps}"


def _step(right: int, down: int) -> str:
    return f"l{right}{down}" if down < 0 else f"l{right} {down}"
