"""Charts of the report: rows of sql/report/ in, the HTML of one chart out.

The functions are pure. A chart is a Vega-Lite specification with its rows; the browser draws it with the copy of Vega
beside the pages (docs/decisions/0011-charts-in-the-browser.md). Pages write the legends themselves, with the colours
defined here, because text on a small screen must not shrink with the chart. Not here: reading the warehouse, the shape
of a distribution (`driftlake.report.distributions`), text around a chart (`driftlake.report.model_page`).
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import wraps
from typing import Any, ParamSpec
from xml.sax.saxutils import escape, quoteattr

from driftlake.report.distributions import Rows, Steps, category_bars, density_steps, special_bars
from driftlake.vocabulary import wording

P = ParamSpec("P")
# A part of a Vega-Lite specification.
Part = dict[str, Any]
_log = logging.getLogger(__name__)

# Okabe and Ito (2008), distinguishable with any colour vision. Yellow is left out, because it is too pale for a line.
SERIES_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#a6508a", "#56b4e9", "#7a5c00")

# From within noise to strong drift. Lighter means less drift, so the scale also works in greyscale.
LEVEL_COLOURS = {
    "noise": "#edf1f5",
    "stable": "#c9dcea",
    "warn": "#f4b95a",
    "drift": "#d1601c",
    "strong": "#7a1f0b",
}

SIDE_COLOURS = {"training": "#8b96a3", "production": "#0072b2"}
BACKLOG_COLOURS = {"without a label": "#0072b2", "expected from the label delay": "#c3cad2"}

_INK, _SOFT_INK, _FAINT = "#1f2933", "#52606d", "#e4e7eb"

# Width of wide charts on a page; narrow ones are placed side by side, or fill the screen of a phone.
_WIDE, _NARROW = 560, 270
_LABEL_LIMIT = 100
# Smallest range of the axis of share bars, so that a share of one percent does not fill the chart.
_SMALLEST_BAR_AXIS = 0.1
# Smallest number of days on an axis, also for a newer model.
_SHORTEST_AXIS_DAYS = 28
# A line with fewer points is drawn with point marks, because a single point would not be visible.
_POINTS_BELOW_DAYS = 14

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.4.1.json"
# The same for all charts of a page.
CONFIG: Part = {
    "aria": False,
    "background": None,
    "font": "Arial, Helvetica, Liberation Sans, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _SOFT_INK,
        "titleColor": _SOFT_INK,
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "gridColor": _FAINT,
        "domainColor": "#cbd2d9",
        "tickColor": "#cbd2d9",
    },
    "text": {"color": _INK, "fontSize": 11},
}


def _or_sentence(draw: Callable[P, str]) -> Callable[P, str]:
    """Replace a chart that cannot be drawn by a sentence."""

    @wraps(draw)
    def drawn(*arguments: P.args, **named: P.kwargs) -> str:
        try:
            return draw(*arguments, **named)
        except Exception as error:  # noqa: BLE001  # whatever a chart raises, the page is written
            _log.exception("a chart could not be drawn")
            first_line = str(error).strip().partition("\n")[0]
            sentence = f"This chart could not be drawn ({type(error).__name__}: {first_line})."
            return f'<p class="soft">{escape(wording.printable(sentence))}</p>'

    return drawn


@_or_sentence
def volume_chart(rows: Rows, *, first_day: date, last_day: date, description: str) -> str:
    """Predictions per day, stacked: rows of sql/report/volume.sql with a `series` each."""
    first_day = _first_shown([row["dt"] for row in rows], first_day, last_day)
    chart = _layer(
        "days",
        {"type": "bar", "binSpacing": 0.5},
        color=_series_colour(rows),
        x={**_days("dt", first_day, last_day), "timeUnit": "utcyearmonthdate"},
        y=_numbers("prediction_count", title="predictions", axis={"tickCount": 2, "format": "~s"}),
    )
    return _html({**chart, "width": _WIDE, "height": 100}, description, days=rows)


@_or_sentence
def quality_chart(rows: Rows, *, long_days: int, first_day: date, last_day: date, description: str) -> str:
    """AUC over time with its interval, baseline and the value with all labels known now, and below it the share of labelled predictions.

    `rows` are those of sql/report/quality.sql of one model with a `series` each: the window of `long_days` is drawn in
    full, shorter ones as thin lines.
    """
    days = {row["dt"] for row in rows}
    first_day = _first_shown([*days], first_day, last_day)
    shared = {"color": _series_colour(rows), "x": _days("dt", first_day, last_day)}

    def auc(column: str) -> Part:
        return _numbers(column, title="AUC", scale={"zero": False}, axis={"tickCount": 5, "format": ".2f"})

    baseline = {"type": "line", "strokeWidth": 1.3, "strokeDash": [7, 4]}
    all_labels = {"type": "line", "strokeWidth": 1.4, "strokeDash": [1, 3], "strokeCap": "round"}
    ranking = {
        "layer": [
            _layer(
                "long",
                {"type": "area", "opacity": 0.16},
                **shared,
                y=auc("confidence_low"),
                y2={"field": "confidence_high"},
            ),
            _layer("short", {"type": "line", "strokeWidth": 1, "opacity": 0.5}, **shared, y=auc("auc")),
            _layer("long", baseline, **shared, y=auc("baseline_auc")),
            _layer("long", {"type": "line", "strokeWidth": 2.4, "point": _points(days)}, **shared, y=auc("auc")),
            _layer("long", all_labels, **shared, y=auc("all_labels_auc")),
        ],
        "width": _WIDE,
        "height": 190,
    }
    share = _numbers(
        "coverage_share",
        title="labelled",
        stack=None,
        scale={"domain": [0, 1]},
        axis={"values": [0, 1], "format": ".0%"},
    )
    area = {"type": "area", "opacity": 0.25, "line": {"strokeWidth": 1}}
    coverage = {**_layer("long", area, **shared, y=share), "width": _WIDE, "height": 46}
    return _html(
        {"vconcat": [ranking, coverage], "spacing": 12},
        description,
        long=[row for row in rows if row["window_days"] == long_days],
        short=[row for row in rows if row["window_days"] != long_days],
    )


@_or_sentence
def backlog_chart(rows: Rows, *, description: str) -> str:
    """Predictions without a label by age, beside the promised number: rows of sql/report/backlog.sql of one version."""
    kinds = dict(zip(("outstanding_count", "expected_outstanding_count"), BACKLOG_COLOURS, strict=True))
    bars = [
        {"age": row["age_bucket"].replace("-", "\N{EN DASH}"), "kind": kind, "count": row[column]}
        for row in rows
        for column, kind in kinds.items()
        if row["age_bucket"] != "all" and row[column] is not None
    ]
    ages = list(dict.fromkeys(bar["age"] for bar in bars))
    places = {
        "x": _names("age", sort=ages, title="age of the prediction in days", axis={"labelAngle": 0}),
        "xOffset": _names("kind", sort=list(BACKLOG_COLOURS)),
        "y": _numbers("count", title="predictions", axis={"tickCount": 4, "format": "~s"}),
    }
    waiting = {"filter": {"field": "kind", "equal": next(iter(BACKLOG_COLOURS))}}
    text = {"field": "count", "type": "quantitative", "format": ",.0f"}
    chart = {
        "layer": [
            _layer("ages", {"type": "bar"}, color=_colour("kind", BACKLOG_COLOURS), **places),
            {**_layer("ages", {"type": "text", "dy": -5, "fontSize": 10}, text=text, **places), "transform": [waiting]},
        ],
        "width": _NARROW,
        "height": 150,
    }
    return _html(chart, description, ages=bars)


@_or_sentence
def drift_heatmap(spells: Rows, features: Rows, *, first_day: date, last_day: date, description: str) -> str:
    """Drift level of each feature over time, the most drifted on top.

    Parameters
    ----------
    spells : rows of sql/report/drift_levels.sql of one version
    features : rows of sql/report/features.sql of the same version, in the order to draw them
    """
    names = [row["feature"] for row in features]
    end = last_day + timedelta(days=1)
    boxes = [
        {
            "feature": spell["feature"],
            "level": spell["level"],
            "from": max(spell["first_on"], first_day),
            "to": spell["last_on"] + timedelta(days=1),
        }
        for spell in spells
        if spell["feature"] in set(names)
    ]
    first_day = _first_shown([spell["first_on"] for spell in spells], first_day, end)
    feature = _names(
        "feature",
        sort=names,
        title=None,
        scale={"domain": names, "paddingInner": 0.18, "paddingOuter": 0.1},
        axis={
            "domain": False,
            "ticks": False,
            "labelLimit": _LABEL_LIMIT,
            "labelColor": _INK,
            "labelPadding": 6,
            "minExtent": 88,
        },
    )
    places = {"x": _days("from", first_day, end), "x2": {"field": "to"}, "y": feature}
    too_few = {"type": "rule", "strokeDash": [2, 3], "color": _SOFT_INK, "strokeWidth": 1.5}
    psi = {"type": "text", "align": "left", "dx": 6}
    chart = {
        "layer": [
            _layer("judged", {"type": "bar"}, color=_colour("level", LEVEL_COLOURS), **places),
            _layer("too_few", too_few, **places),
            _layer("latest", psi, text=_names("psi"), x={"value": _WIDE - 80}, y=feature),
        ],
        "width": _WIDE - 80,
        "height": {"step": 22},
    }
    return _html(
        chart,
        description,
        judged=[box for box in boxes if box["level"] in LEVEL_COLOURS],
        too_few=[box for box in boxes if box["level"] not in LEVEL_COLOURS],
        latest=[{"feature": row["feature"], "psi": _psi(row["psi"])} for row in features],
    )


def _psi(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else wording.decimal(value)


def level_names(features: Rows) -> dict[str, str]:
    """Legend of the heatmap by level, with the thresholds in force on its last day."""
    warn, drift = features[0]["warn_threshold"], features[0]["drift_threshold"]
    return {
        "noise": "within noise",
        "stable": f"below {warn:g}",
        "warn": f"{warn:g} to {drift:g}",
        "drift": f"{drift:g} to {4 * drift:g}",
        "strong": f"{4 * drift:g} or more",
    }


@_or_sentence
def distribution_chart(bins: Rows, *, smallest_cell: int = 1, description: str) -> str:
    """Training and production shares of one feature drawn over each other: its rows of sql/report/distributions.sql.

    Numbers are drawn as densities over the value axis, so that a wide bin does not look too large. Missing and
    out-of-range values have bars below the axis. Categories are paired bars; categories with fewer than
    `smallest_cell` rows are added up.
    """
    bars = [*category_bars(bins, smallest_cell), *special_bars(bins)]
    steps = density_steps(bins)
    panels = [*([_density_panel(steps)] if steps else []), *([_bar_panel(bars)] if bars else [])]
    return _html(
        {"vconcat": panels, "spacing": 14},
        description,
        steps=_step_points(steps) if steps else [],
        bars=[
            {"label": bar["label"], "side": side, "share": bar[side], "text": wording.percent(bar[side])}
            for bar in bars
            for side in SIDE_COLOURS
        ],
    )


@_or_sentence
def latency_chart(rows: Rows, *, first_day: date, last_day: date, description: str) -> str:
    """Latency percentiles over time: rows of sql/report/latency.sql of one model and metric with a `series` each."""
    dashes = {"p50": [1, 0], "p95": [6, 3], "p99": [1, 3]}
    lines = [
        {"dt": row["dt"], "series": row["series"], "percentile": name, "ms": row[f"{name}_ms"]}
        for row in rows
        for name in dashes
    ]
    days = {row["dt"] for row in rows}
    first_day = _first_shown([*days], first_day, last_day)
    percentiles = {"domain": list(dashes), "range": list(dashes.values())}
    chart = _layer(
        "lines",
        {"type": "line", "strokeWidth": 1.8, "point": _points(days)},
        color=_series_colour(rows),
        strokeDash=_names("percentile", scale=percentiles, legend=None),
        x=_days("dt", first_day, last_day),
        y=_numbers("ms", title="milliseconds", axis={"tickCount": 4}),
    )
    return _html({**chart, "width": _WIDE, "height": 120}, description, lines=lines)


def _step_points(steps: Steps) -> list[dict[str, Any]]:
    sides = {"training": steps.training, "production": steps.production}
    return [
        {"value": border, "side": side, "share": share}
        for side, shares in sides.items()
        # the last step ends at the last border
        for border, share in zip(steps.borders, [*shares, shares[-1]], strict=True)
    ]


def _density_panel(steps: Steps) -> Part:
    low, high = steps.borders[0], steps.borders[-1]
    scale: Part = {"type": steps.scale.kind, "domain": [low, high], "nice": False}
    # formatted label by label: the axis would give all labels the prefix of the largest, e.g. 0M
    label = "format(datum.value, abs(datum.value) < 1e4 ? ',~r' : '~s')"
    axis: Part = {"title": None, "tickCount": 6, "grid": False, "labelExpr": label}
    if steps.scale.kind == "symlog":
        scale["constant"] = steps.scale.constant
        axis["values"] = _symlog_ticks(low, high, steps.scale.constant)
    per = f"per {steps.step:.3g}" if steps.scale.kind == "linear" else "per step"
    shared = {
        "color": _colour("side", SIDE_COLOURS),
        "x": _numbers("value", scale=scale, axis=axis),
        "y": _numbers("share", title=f"share of rows {per}", stack=None, axis={"tickCount": 4, "format": "~%"}),
    }
    return {
        "layer": [
            _layer("steps", {"type": "area", "interpolate": "step-after", "opacity": 0.35}, **shared),
            _layer("steps", {"type": "line", "interpolate": "step-after", "strokeWidth": 1.4}, **shared),
        ],
        "width": _NARROW,
        "height": 130,
    }


def _symlog_ticks(low: float, high: float, constant: float) -> list[float]:
    """Zero and every second power of ten from where the scale becomes logarithmic."""
    first = math.ceil(math.log10(constant))
    powers = [10.0**power for power in range(first, first + 20, 2)]
    return [value for value in (*(-power for power in reversed(powers)), 0.0, *powers) if low <= value <= high]


def _bar_panel(bars: Sequence[Mapping[str, Any]]) -> Part:
    largest = max(bar[side] for bar in bars for side in SIDE_COLOURS)
    labels = {"domain": False, "ticks": False, "labelLimit": _LABEL_LIMIT, "labelColor": _INK}
    places = {
        "y": _names("label", sort=[bar["label"] for bar in bars], title=None, axis=labels),
        "yOffset": _names("side", sort=list(SIDE_COLOURS)),
        "x": _numbers("share", axis=None, scale={"domain": [0, max(_SMALLEST_BAR_AXIS, largest)]}),
    }
    text = {"type": "text", "align": "left", "dx": 4, "fontSize": 10}
    return {
        "layer": [
            _layer("bars", {"type": "bar"}, color=_colour("side", SIDE_COLOURS), **places),
            _layer("bars", text, text=_names("text"), **places),
        ],
        "width": _NARROW - 60,
        "height": 32 * len(bars),
    }


def _layer(dataset: str, mark: Part, **channels: Part) -> Part:
    """Marks for the rows that are passed to `_html` under the name `dataset`."""
    return {"data": {"name": dataset}, "mark": mark, "encoding": channels}


def _numbers(column: str, **how: Any) -> Part:
    return {"field": column, "type": "quantitative", **how}


def _names(column: str, **how: Any) -> Part:
    return {"field": column, "type": "nominal", **how}


def _days(column: str, first_day: date, last_day: date) -> Part:
    """Days as UTC, so that the time zone of the machine never moves a label to the day before."""
    return {
        "field": column,
        "type": "temporal",
        "axis": {
            "title": None,
            "grid": False,
            "tickCount": 6,
            "format": "%-d %b",
            "labelOverlap": "greedy",
            "labelFlush": False,
        },
        # a `domain` would be set for each end of a bar, and Vega-Lite warns that they differ
        "scale": {"type": "utc", "domainMin": _instant(first_day), "domainMax": _instant(last_day)},
    }


def _instant(day: date) -> Part:
    return {"year": day.year, "month": day.month, "date": day.day, "utc": True}


def _points(days: Collection[date]) -> Part | bool:
    return {"size": 36} if len(days) < _POINTS_BELOW_DAYS else False


def _first_shown(days: Sequence[date], first_day: date, last_day: date) -> date:
    """First day on the axis of a chart: that of its first data, if later than `first_day`."""
    return max(first_day, min([*days, last_day - timedelta(days=_SHORTEST_AXIS_DAYS)]))


def _series_colour(rows: Rows) -> Part:
    return _colour("series", {row["series"]: row["colour"] for row in rows})


def _colour(column: str, colours: Mapping[str, str]) -> Part:
    return _names(column, scale={"domain": list(colours), "range": list(colours.values())}, legend=None)


def _html(chart: Part, description: str, **datasets: Rows) -> str:
    """The chart with the rows that it names. Until it is drawn, its place has a sentence about it."""
    shown = {*_fields(chart)}
    specification = {
        "$schema": _SCHEMA,
        **chart,
        "datasets": {name: _table(rows, shown) for name, rows in datasets.items()},
    }
    content = _json(specification)
    # few charts have such texts, and looking at every value takes longer than the rest of the chart
    if "\\" in content or not wording.is_printable(content):
        content = _json(_printable(specification))
    name = wording.printable(description)
    # escaped, so that nothing in the rows ends the element or begins a comment in it
    content = content.replace("<", "\\u003c")
    return (
        f'<div class="chart" role="img" aria-label={quoteattr(name)}><p class="soft">{escape(name)}.</p>'
        f'<script type="application/json">{content}</script></div>'
    )


def _json(specification: Part) -> str:
    return json.dumps(specification, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _fields(chart: Any) -> Iterator[str]:
    """Names of the columns that a specification uses."""
    if isinstance(chart, Mapping):
        if isinstance(field := chart.get("field"), str):
            yield field
        for part in chart.values():
            yield from _fields(part)
    elif isinstance(chart, list):
        for part in chart:
            yield from _fields(part)


def _table(rows: Rows, shown: Collection[str]) -> Part:
    """Rows as a list of columns and lists of values, without columns that the chart does not use."""
    columns = [name for name in rows[0] if name in shown] if rows else []
    return {"columns": columns, "rows": [[_value(row[name]) for name in columns] for row in rows]}


def _value(value: Any) -> Any:
    """A value as JSON; numbers keep the digits that an axis far from zero needs."""
    if isinstance(value, float):
        return float(f"{value:.12g}") if math.isfinite(value) else None
    return value.isoformat() if isinstance(value, date) else value


def _printable(value: Any) -> Any:
    """A specification with all texts, including keys, escaped for drawing."""
    if isinstance(value, str):
        return wording.printable(value)
    if isinstance(value, Mapping):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value
