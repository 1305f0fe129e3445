"""The report pages: one HTML file per day and an overview of all days.

A page needs neither network nor scripts, and the same tables give the same bytes. Not here: drawing
(`driftlake.report.charts`), how a number is written (`driftlake.vocabulary.wording`), what is counted (sql/report/),
layout and the sentences around a chart (templates/).
"""

from __future__ import annotations

import calendar
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa

from driftlake.alerts.shift_queries import command_of
from driftlake.config import Settings, signal_of
from driftlake.errors import DriftlakeError
from driftlake.lake.warehouse import Warehouse
from driftlake.lake.whole_files import replaced_whole
from driftlake.maths.segments import ALL
from driftlake.report import charts, verdicts
from driftlake.report.data_docs import docs_page
from driftlake.report.terminal import mark_sentence
from driftlake.report.verdicts import MeasuredWindows, Row, Verdict, grouped
from driftlake.vocabulary import wording
from driftlake.vocabulary.runbooks import PAGE, RUNBOOKS
from driftlake.vocabulary.wording import version_name

if TYPE_CHECKING:
    import jinja2

# A version without predictions for this many days gets no verdict.
RECENT_DAYS = 28
# Days that the charts show.
QUALITY_DAYS, VOLUME_DAYS, HEATMAP_DAYS, LATENCY_DAYS = 120, 90, 90, 90
# AUC is drawn over the long window and over a short one: the configured window nearest to this.
SHORT_QUALITY_DAYS = 7

# Number of nodes of a version on a page: the slowest.
SHOWN_NODES = 10

# Alerts of one rule and version: if there are more than the first number, the worst are shown and the others collapsed.
_FOLD_BEYOND, _SHOWN_WHEN_FOLDED = 8, 5
# Rows of a heatmap, so that it fits on a screen; the table below it has every feature.
_HEATMAP_FEATURES = 30
# Functions with which the templates write values.
_FILTERS = (
    wording.decimal,
    wording.long_day,
    wording.measured,
    wording.milliseconds,
    wording.number,
    wording.percent,
    wording.points,
    wording.probability,
    wording.signed,
    wording.size,
    wording.statistic_name,
    wording.three_decimals,
)


class ReportError(DriftlakeError, LookupError):
    """There is nothing to report on, or no folder to write to."""


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """Alerts about one version, the worst first; if a rule fired often, most of its alerts are in `folded`, by rule."""

    name: str
    shown: Sequence[Row]
    folded: Mapping[str, Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with the name of its subject, the rows for its caption, and its legend."""

    name: str
    svg: str
    facts: Sequence[Row]
    legend: Mapping[str, str]


def render_day(warehouse: Warehouse, settings: Settings, day: date) -> Path:
    """Write the page of `day` and return its path; an existing page is replaced.

    Raises ReportError if nothing was processed for the day.
    """
    scope = _Scope.of(warehouse, settings, day)
    if not scope.runs:
        raise ReportError(
            f"nothing was processed for {day}",
            hint=f"run `driftlake backfill --from {day} --to {day}`, then ask for the report again",
        )
    with warehouse.one_snapshot():
        content = _day_content(scope)
    return _write(settings, f"{day}.html", _render("day.html.j2", content))


def render_index(warehouse: Warehouse, settings: Settings) -> Path:
    """Write the overview of every processed day, with links to the existing pages, and return its path.

    Raises ReportError if nothing was processed yet.
    """
    drift_days, quality_days = settings.drift.headline_window_days, settings.quality.headline_window_days
    days = _rows(warehouse, "days", drift_window_days=drift_days, quality_window_days=quality_days)
    if not days:
        raise ReportError("nothing was processed yet", hint="run `driftlake run` or `driftlake backfill` first")
    folder = _folder(settings)
    judged = [
        {**row, "kind": verdicts.kind_of_day(row), "has_page": (folder / f"{row['dt']}.html").is_file()} for row in days
    ]
    newest = _Scope.of(warehouse, settings, days[-1]["dt"])
    months = grouped(judged, lambda row: row["dt"].replace(day=1))
    content = {
        "newest": newest.day,
        "newest_has_page": judged[-1]["has_page"],
        "verdicts": newest.judge(newest.model_facts(), newest.alerts()),
        "months": [(first, {row["dt"].day: row for row in rows}) for first, rows in reversed(months.items())],
        "day_count": len(judged),
        "page_count": sum(row["has_page"] for row in judged),
        "has_several_models": len({row["auc_model"] for row in judged if row["auc_model"]}) > 1,
        "drift_days": drift_days,
        "quality_days": quality_days,
    }
    _write(settings, PAGE, _render("runbooks.html.j2", {"runbooks": RUNBOOKS}))
    return _write(settings, "index.html", _render("index.html.j2", content))


@dataclass(frozen=True, slots=True)
class _Scope:
    """The subject of a page and the source of its rows; `runs` has the newest run of each stage."""

    warehouse: Warehouse
    settings: Settings
    day: date
    runs: Mapping[str, Row]

    @classmethod
    def of(cls, warehouse: Warehouse, settings: Settings, day: date) -> _Scope:
        runs = {run["stage"]: run for run in _rows(warehouse, "runs", day=day)}
        return cls(warehouse, settings, day, runs)

    @property
    def drift_days(self) -> int:
        return self.settings.drift.headline_window_days

    @property
    def quality_days(self) -> int:
        return self.settings.quality.headline_window_days

    @property
    def short_quality_days(self) -> int:
        return min(self.settings.quality.windows_days, key=lambda days: (abs(days - SHORT_QUALITY_DAYS), days))

    def rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        return _rows(self.warehouse, name, **values)

    def span(self, days: int) -> dict[str, date]:
        """The last `days` days as query parameters, this day included."""
        return {"first_day": self.day - timedelta(days=days - 1), "last_day": self.day}

    def model_facts(self) -> list[dict[str, Any]]:
        """The facts behind the verdicts: one row per version that predicted recently."""
        return self.rows(
            "models",
            day=self.day,
            recent_days=RECENT_DAYS,
            drift_window_days=self.drift_days,
            quality_window_days=self.quality_days,
        )

    def alerts(self) -> list[dict[str, Any]]:
        return self.rows("alerts", day=self.day, smallest_cell=self.settings.reports.smallest_cell)

    def judge(self, facts: Sequence[Row], alerts: Sequence[Row]) -> list[Verdict]:
        windows = MeasuredWindows(self.drift_days, self.quality_days, self.settings.labels is not None)
        order = list(verdicts.VERDICT_WORDS)
        judged = [verdicts.judge(row, alerts, self.runs, windows) for row in facts]
        return sorted(judged, key=lambda verdict: order.index(verdict.kind))


def _day_content(scope: _Scope) -> dict[str, Any]:
    facts, alerts = scope.model_facts(), scope.alerts()
    features = scope.rows("features", day=scope.day, window_days=scope.drift_days)
    scores = scope.rows("scores", day=scope.day, window_days=scope.drift_days)
    volume = scope.rows("volume", **scope.span(QUALITY_DAYS))
    colours = _series_colours([*volume, *facts])
    listed = {version_key(row) for row in facts}
    return {
        "day": scope.day,
        "settings": scope.settings,
        "drift_days": scope.drift_days,
        "quality_days": scope.quality_days,
        "short_quality_days": scope.short_quality_days,
        "runs": scope.runs,
        "facts": facts,
        "verdicts": scope.judge(facts, alerts),
        "alerts": alerts,
        "incidents": _incidents(scope, alerts),
        "alert_groups": _alert_groups(scope, [row for row in alerts if not row["incident_id"]], listed),
        "retired_alert_names": _names(row for row in alerts if row["deployment"] and version_key(row) not in listed),
        "inputs": scope.rows("inputs", day=scope.day),
        "failed_checks": scope.rows("failed_checks", day=scope.day),
        "data_docs": [
            (source, f"data_docs/{page.name}")
            for source in ("telemetry", "labels")
            if (page := docs_page(scope.settings, scope.day, source)).is_file()
        ],
        "schema_changes": scope.rows("schema_changes", day=scope.day),
        "arrivals": scope.warehouse.sql("select * from label_arrivals where dt = ?", [scope.day]).to_pylist(),
        "predictions": _usual_predictions(scope.day, volume),
        "volume_figures": _volume_figures(scope, volume, colours),
        "quality_figures": _quality_figures(scope, colours),
        "quality_statistics": grouped(
            scope.rows("quality_statistics", day=scope.day, window_days=scope.quality_days), version_name
        ),
        "backlog_figures": _backlog_figures(scope, listed),
        "heatmaps": _heatmaps(scope, features),
        "distributions": _distributions(scope, _worst_features(features, scope.settings.reports.worst_features)),
        "score_figures": _distributions(scope, [row for row in scores if row["current_mean"] is not None]),
        "scoreless": _names(row for row in scores if row["current_mean"] is None),
        "rare_combinations": scope.rows(
            "rare_combinations",
            day=scope.day,
            window_days=scope.drift_days,
            smallest_cell=scope.settings.reports.smallest_cell,
        ),
        "multivariate": scope.rows("multivariate", day=scope.day, window_days=scope.drift_days),
        "importance": grouped(scope.rows("importance", day=scope.day, window_days=scope.drift_days), version_name),
        "shadows": scope.rows("shadow", day=scope.day, window_days=scope.quality_days),
        "slos": scope.rows("slos", day=scope.day),
        "latency_figures": _latency_figures(scope, colours),
        "latency_changes": scope.rows("latency_changes", day=scope.day) if scope.settings.telemetry.latencies else [],
        "shown_nodes": SHOWN_NODES,
        "nodes": scope.rows("nodes", day=scope.day, node_count=SHOWN_NODES),
    }


# Alerts and inputs


def _alert_groups(scope: _Scope, alerts: Sequence[Row], listed: set[tuple[str, str, str]]) -> list[AlertGroup]:
    """Alerts by version: first those about whole partitions, then production, other deployments, and retired versions."""

    def urgency(alert: Row) -> tuple[bool, ...]:
        is_retired = alert["deployment"] is not None and version_key(alert) not in listed
        return alert["model_id"] is not None, is_retired, alert["deployment"] not in {None, "production"}

    groups = []
    for members in grouped(sorted(alerts, key=urgency), version_key).values():
        by_rule = grouped([_written_out(scope, alert) for alert in members], lambda alert: alert["rule"])
        folded = {rule: rows[_SHOWN_WHEN_FOLDED:] for rule, rows in by_rule.items() if len(rows) > _FOLD_BEYOND}
        shown = [
            alert for rule, rows in by_rule.items() for alert in (rows[:_SHOWN_WHEN_FOLDED] if rule in folded else rows)
        ]
        groups.append(AlertGroup(version_name(members[0]), shown, folded))
    return groups


def _incidents(scope: _Scope, alerts: Sequence[Row]) -> list[dict[str, Any]]:
    """Incidents of the day with their alerts by descending weight, and the query that shows the first alert."""
    members = grouped(sorted(alerts, key=lambda alert: -(alert["weight"] or 0)), lambda alert: alert["incident_id"])
    found = []
    for row in scope.rows("incidents", day=scope.day):
        rows = [_written_out(scope, alert) for alert in members.get(row["incident_id"], [])]
        found.append(
            {
                **row,
                "alerts": rows,
                "mark_text": mark_sentence(row),
                "runbook_link": _runbook_link(scope.settings, row["runbook"]),
                "command": next((command_of(alert, scope.day) for alert in rows if _is_named(scope, alert)), None),
            }
        )
    return found


def _is_named(scope: _Scope, alert: Row) -> bool:
    """Whether a page may name the segment of an alert."""
    return alert["segment"] in {None, ALL} or alert["sample_count"] >= scope.settings.reports.smallest_cell


def _written_out(scope: _Scope, alert: Row) -> dict[str, Any]:
    unit = signal_of(alert["signal"]).unit
    return {
        **alert,
        "value_text": wording.in_unit(alert["value"], unit),
        "threshold_text": wording.in_unit(alert["threshold"], unit),
        "runbook_link": _runbook_link(scope.settings, alert["runbook"]),
    }


def _runbook_link(settings: Settings, runbook: str | None) -> str | None:
    """Link from a page to the runbook of a rule; None if it is neither a web address nor a relative path."""
    if not runbook:
        return None
    if runbook.startswith(f"{PAGE}#"):
        return runbook
    address = urlsplit(runbook)
    if address.scheme in {"http", "https"}:
        return runbook
    if address.scheme or address.netloc or runbook.startswith("/"):
        return None
    return os.path.relpath(settings.resolve(runbook), _folder(settings))


def _usual_predictions(day: date, volume: Sequence[Row]) -> list[dict[str, Any]]:
    """Predictions of the day per version, beside the median of the days before on which it predicted."""
    before = day - timedelta(days=RECENT_DAYS)
    rows = []
    for members in grouped(volume, version_key).values():
        earlier = [row["prediction_count"] for row in members if before <= row["dt"] < day]
        today, sampled = (
            sum(row[name] for row in members if row["dt"] == day) for name in ("prediction_count", "sampled_count")
        )
        if earlier or today:
            usual = statistics.median(earlier) if earlier else None
            counts = {"prediction_count": today, "sampled_count": sampled, "usual_count": usual}
            rows.append({"name": version_name(members[0]), **counts})
    return rows


# Figures


def _volume_figures(scope: _Scope, volume: Sequence[Row], colours: Mapping[Any, str]) -> list[Figure]:
    span = scope.span(VOLUME_DAYS)
    recent = [row for row in volume if row["dt"] >= span["first_day"]]
    return [
        Figure(
            model,
            charts.volume_chart(_in_series(rows, colours), **span, description=f"Predictions per day of {model}"),
            [],
            _series_legend(rows, colours),
        )
        for model, rows in grouped(recent, lambda row: row["model_id"]).items()
    ]


def _quality_figures(scope: _Scope, colours: Mapping[Any, str]) -> list[Figure]:
    span = scope.span(QUALITY_DAYS)
    rows = scope.rows("quality", **span, windows_days=[scope.quality_days, scope.short_quality_days])
    figures = []
    for model, members in grouped(rows, lambda row: row["model_id"]).items():
        if all(row["auc"] is None for row in members):
            continue
        svg = charts.quality_chart(
            _in_series(members, colours),
            long_days=scope.quality_days,
            **span,
            description=f"AUC of {model} per day with its 95% interval, baseline and hindsight, and label coverage",
        )
        latest = [row for row in members if row["dt"] == scope.day and row["window_days"] == scope.quality_days]
        figures.append(Figure(model, svg, latest, _series_legend(members, colours)))
    return figures


def _backlog_figures(scope: _Scope, listed: set[tuple[str, str, str]]) -> list[Figure]:
    # there may be rows from a time when labels were configured
    if scope.settings.labels is None:
        return []
    rows = [row for row in scope.rows("backlog", day=scope.day) if version_key(row) in listed]
    return [
        Figure(
            version_name(members[0]),
            charts.backlog_chart(
                members, description=f"Predictions of {version_name(members[0])} without a label, by age"
            ),
            [row for row in members if row["age_bucket"] == "all"],
            charts.BACKLOG_COLOURS,
        )
        for members in grouped(rows, version_key).values()
    ]


def _heatmaps(scope: _Scope, features: Sequence[Row]) -> list[Figure]:
    span = scope.span(HEATMAP_DAYS)
    spells = grouped(scope.rows("drift_levels", **span, window_days=scope.drift_days), version_key)
    return [
        Figure(
            version_name(members[0]),
            charts.drift_heatmap(
                spells[key],
                members[:_HEATMAP_FEATURES],
                **span,
                description=f"Drift of the features of {version_name(members[0])} per day",
            ),
            members,
            {words: charts.LEVEL_COLOURS[level] for level, words in charts.level_names(members).items()},
        )
        for key, members in grouped(features, version_key).items()
        if any(row["current_count"] for row in members)
    ]


def _worst_features(features: Sequence[Row], count: int) -> list[Row]:
    """The features to look at first: those of production versions, then by descending PSI."""
    judged = [row for row in features if row["psi"] is not None and row["outcome"] != "insufficient_data"]
    return sorted(judged, key=lambda row: (row["deployment"] != "production", -row["psi"]))[:count]


def _distributions(scope: _Scope, wanted: Sequence[Row]) -> list[Figure]:
    names = ("model_id", "model_version", "deployment", "feature")
    schema = pa.schema([(name, pa.string()) for name in names])
    with scope.warehouse.registered(wanted_features=pa.Table.from_pylist([dict(row) for row in wanted], schema=schema)):
        rows = scope.rows("distributions", **scope.span(scope.drift_days))
    bins = grouped(rows, lambda row: (version_key(row), row["feature"]))
    return [
        Figure(
            version_name(row),
            charts.distribution_chart(
                bins[version_key(row), row["feature"]],
                smallest_cell=scope.settings.reports.smallest_cell,
                description=f"Distribution of {row['feature']} of {version_name(row)} in training and in production",
            ),
            [row],
            charts.SIDE_COLOURS,
        )
        for row in wanted
        if (version_key(row), row["feature"]) in bins
    ]


def _latency_figures(scope: _Scope, colours: Mapping[Any, str]) -> list[Figure]:
    span = scope.span(LATENCY_DAYS)
    rows = scope.rows("latency", **span)
    return [
        Figure(
            f"{metric} of {model}",
            charts.latency_chart(
                _in_series(members, colours), **span, description=f"Percentiles of {metric} of {model} per day"
            ),
            [{**row, "name": version_name(row)} for row in members if row["dt"] == scope.day],
            _series_legend(members, colours),
        )
        for (model, metric), members in grouped(rows, lambda row: (row["model_id"], row["metric"])).items()
    ]


def _series_colours(rows: Sequence[Row]) -> dict[tuple[str, str, str], str]:
    """A colour per version and deployment, the same in every chart of a page; each model starts anew."""
    colours = {}
    for members in grouped(rows, lambda row: row["model_id"]).values():
        for position, key in enumerate(dict.fromkeys(version_key(row) for row in members)):
            colours[key] = charts.SERIES_COLOURS[position % len(charts.SERIES_COLOURS)]
    return colours


def version_key(row: Row) -> tuple[str, str, str]:
    """The key of a deployed version."""
    return row["model_id"], row["model_version"], row["deployment"]


def _in_series(rows: Sequence[Row], colours: Mapping[Any, str]) -> list[dict[str, Any]]:
    """Rows of one model with the names and colours of their lines."""
    return [{**row, "series": _series(row), "colour": colours[version_key(row)]} for row in rows]


def _series_legend(rows: Sequence[Row], colours: Mapping[Any, str]) -> dict[str, str]:
    return dict(sorted({_series(row): colours[version_key(row)] for row in rows}.items()))


def _series(row: Row) -> str:
    return f"{row['model_version']} {row['deployment']}"


def _names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(version_name(row) for row in rows))


# Files


def _rows(warehouse: Warehouse, name: str, **values: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = warehouse.query(f"report/{name}", **values).to_pylist()
    return rows


def _render(template: str, content: Mapping[str, Any]) -> str:
    return wording.printable(_environment().get_template(template).render(content))


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("driftlake.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {function.__name__: function for function in _FILTERS}
    environment.globals |= {
        "verdict_words": verdicts.VERDICT_WORDS,
        "counted": wording.counted,
        "change": wording.change,
        "version_name": version_name,
        "days_in_month": lambda first: calendar.monthrange(first.year, first.month)[1],
        "heatmap_features": _HEATMAP_FEATURES,
        "recent_days": RECENT_DAYS,
        "volume_days": VOLUME_DAYS,
    }
    return environment


def _folder(settings: Settings) -> Path:
    location = settings.resolve(settings.reports.path)
    if "://" in location:
        raise ReportError(f"reports.path {location} is not a folder", hint="give a folder; copy it to S3 afterwards")
    return Path(location)


def _write(settings: Settings, name: str, html: str) -> Path:
    page = _folder(settings) / name
    with replaced_whole(page) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return page
