"""The bins of one feature or score as shapes to draw: densities over a value axis, and bars.

Pure functions over rows of sql/report/distributions.sql. Not here: drawing (`driftlake.report.charts`), counting, and the
bins themselves (`driftlake.maths.binning`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Self

from driftlake.vocabulary import wording

Rows = Sequence[Mapping[str, Any]]

# Steps across a value axis. Narrower bins are merged, because the density of a single value would dwarf the rest.
_STEPS = 60
# Share of the rows at each end of a value axis that is not drawn, because a single outlier would compress the rest.
_TAIL_SHARE = 0.001
_MAX_CATEGORIES = 12


@dataclass(frozen=True, slots=True)
class Scale:
    """Scale of a value axis: `kind` as in Vega-Lite, `constant` where a symlog scale becomes linear."""

    kind: Literal["linear", "log", "symlog"]
    constant: float = 1.0

    def place(self, value: float) -> float:
        """Distance of `value` along the axis."""
        if self.kind == "log":
            return math.log(value)
        if self.kind == "symlog":
            return math.copysign(math.log1p(abs(value) / self.constant), value)
        return value

    @classmethod
    def of_bins(cls, bins: Rows) -> Self:
        """The scale that spreads the training data best (`driftlake.maths.binning`); for scores a linear one."""
        match bins[0]["grid_transform"]:
            case "log":
                return cls("log")
            case "asinh":
                return cls("symlog", bins[0]["grid_scale"])
            case _:
                return cls("linear")


@dataclass(frozen=True, slots=True)
class Steps:
    """A distribution over a value axis: from `borders[i]` to `borders[i + 1]` the shares are `training[i]` per `step`.

    `step` is a length along the axis as it is drawn, so equal areas are equal shares.
    """

    borders: tuple[float, ...]
    training: tuple[float, ...]
    production: tuple[float, ...]
    step: float
    scale: Scale


def density_steps(bins: Rows) -> Steps | None:
    """Shares of the range bins as densities, None without range bins; bins narrower than a step are merged.

    Shares are of all rows, so the areas are smaller than one where rows are missing or out of range. Both ends of the
    axis are cut off where they have less than a thousandth of the rows of either side.
    """
    ranges = _without_tails(_ranges(bins))
    if not ranges:
        return None
    scale = Scale.of_bins(bins)
    length = scale.place(ranges[-1]["upper"]) - scale.place(ranges[0]["lower"])
    step = _round_step(length / _STEPS) if scale.kind == "linear" else length / _STEPS
    groups = _merged(ranges, scale, step)
    borders = (groups[0][0]["lower"], *(group[-1]["upper"] for group in groups))
    widths = [scale.place(high) - scale.place(low) for low, high in pairwise(borders)]
    training, production = (
        tuple(
            sum(row[side] for row in group) / total / width * step for group, width in zip(groups, widths, strict=True)
        )
        for side, total in _totals(bins).items()
    )
    return Steps(borders, training, production, step, scale)


def category_bars(bins: Rows, smallest_cell: int = 1) -> list[dict[str, Any]]:
    """Shares of the categories that are most frequent on either side, in training order; the others are added up.

    Categories with 1 to `smallest_cell` - 1 rows on a side are added up, too; a count of 0 is about nobody.
    """
    categories = [row for row in bins if row["bin_kind"] == "category"]
    bars = [_bar(row, row["label"], bins) for row in categories]
    small = [bar for bar, row in zip(bars, categories, strict=True) if _is_small(row, smallest_cell)]
    ranked = sorted((bar for bar in bars if bar not in small), key=lambda bar: -max(bar["training"], bar["production"]))
    hidden = [*ranked[_MAX_CATEGORIES:], *small]
    shown = [bar for bar in bars if bar not in hidden]
    if all(_is_number(bar["label"]) for bar in shown):
        shown.sort(key=lambda bar: float(bar["label"]))
    if hidden:
        rest = {side: sum(bar[side] for bar in hidden) for side in ("training", "production")}
        shown.append({"label": f"({wording.counted(len(hidden), 'other')})", **rest})
    return shown


def special_bars(bins: Rows) -> list[dict[str, Any]]:
    """Shares of the rows outside all ranges and categories: missing, out of range, rare, never seen in training."""
    ranges = _ranges(bins)
    names = {"missing": "(missing)", "other": "(rare in training)", "unseen": "(not in training)"}
    if ranges:
        names |= {
            "below": f"below {wording.measured(ranges[0]['lower'])}",
            "above": f"above {wording.measured(ranges[-1]['upper'])}",
        }
    return [
        _bar(row, names[row["bin_kind"]], bins)
        for row in bins
        if row["bin_kind"] in names and (row["reference_count"] or row["current_count"])
    ]


def _ranges(bins: Rows) -> list[Mapping[str, Any]]:
    return [row for row in bins if row["bin_kind"] == "range"]


def _totals(bins: Rows) -> dict[str, int]:
    return {side: max(sum(row[side] for row in bins), 1) for side in ("reference_count", "current_count")}


def _bar(row: Mapping[str, Any], label: str, bins: Rows) -> dict[str, Any]:
    training, production = (row[side] / total for side, total in _totals(bins).items())
    return {"label": label, "training": training, "production": production}


def _is_small(row: Mapping[str, Any], smallest_cell: int) -> bool:
    return any(0 < row[side] < smallest_cell for side in ("reference_count", "current_count"))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _without_tails(ranges: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    inside: list[int] = []
    for side in ("reference_count", "current_count"):
        total = sum(row[side] for row in ranges)
        counted = 0
        for position, row in enumerate(ranges):
            before, counted = counted, counted + row[side]
            if counted > _TAIL_SHARE * total and before < (1 - _TAIL_SHARE) * total:
                inside.append(position)
    return ranges[min(inside) : max(inside) + 1] if inside else ranges


def _merged(ranges: Rows, scale: Scale, step: float) -> list[list[Mapping[str, Any]]]:
    """Consecutive ranges in groups at least a step wide."""
    groups: list[list[Mapping[str, Any]]] = []

    def width(group: Rows) -> float:
        return scale.place(group[-1]["upper"]) - scale.place(group[0]["lower"])

    # borders come from a grid and need not be exact multiples of the step
    smallest = step * 0.98
    for row in ranges:
        if groups and width(groups[-1]) < smallest:
            groups[-1].append(row)
        else:
            groups.append([row])
    if len(groups) > 1 and width(groups[-1]) < smallest:
        groups[-2:] = [[*groups[-2], *groups[-1]]]
    return groups


def _round_step(length: float) -> float:
    """The smallest of 1, 2, 5, 10, 20, ... that is not below `length`."""
    power = 10.0 ** math.floor(math.log10(length))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= length * 0.999)
