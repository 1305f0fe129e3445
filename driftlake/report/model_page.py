"""What the page of a model says on a day: figures, tables and texts from the rows of the sections.

If a day has one model, its page is also the page of the day and has everything. Not here: reading the rows
(`driftlake.report.sections`), drawing (`driftlake.report.charts`), layout and the sentences around a chart (templates/).
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

from driftlake.alerts.shift_queries import command_of
from driftlake.config import Settings, signal_of
from driftlake.maths.segments import ALL
from driftlake.report import charts, page_files
from driftlake.report.sections import (
    HEATMAP_DAYS,
    LATENCY_DAYS,
    QUALITY_DAYS,
    RECENT_DAYS,
    SHOWN_NODES,
    VOLUME_DAYS,
    Key,
    Scope,
    Sections,
    model_ids,
    version_key,
)
from driftlake.report.terminal import mark_sentence
from driftlake.report.verdicts import Row, grouped
from driftlake.vocabulary import wording
from driftlake.vocabulary.page_names import model_anchor
from driftlake.vocabulary.runbooks import PAGE
from driftlake.vocabulary.wording import version_name

# Alerts of one rule and version: if there are more than the first number, the worst are shown and the others collapsed.
_FOLD_BEYOND, _SHOWN_WHEN_FOLDED = 8, 5
# Rows of a heatmap, so that it fits on a screen; the table below it has every feature.
HEATMAP_FEATURES = 30


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
    chart: str
    facts: Sequence[Row]
    legend: Mapping[str, str]


def content_of(scope: Scope, sections: Sections, root: str) -> dict[str, Any]:
    """What the template of a model's page names; `root` is the way from the page to the folder of the reports."""
    facts, alerts, volume = sections["models"], sections["alerts"], sections["volume"]
    colours = _series_colours([*volume, *facts])
    listed = {version_key(row) for row in facts}
    scores = sections["scores"]
    return {
        "day": scope.day,
        "settings": scope.settings,
        "root": root,
        "drift_days": scope.drift_days,
        "quality_days": scope.quality_days,
        "short_quality_days": scope.short_quality_days,
        "runs": scope.runs,
        "places": [model_anchor(model_id) for model_id in model_ids(sections)],
        "verdicts": [verdict for _, verdict in scope.judge(facts, alerts)],
        "alerts": alerts,
        "incidents": written_incidents(scope, sections["incidents"], alerts, root),
        "alert_groups": alert_groups(scope, [row for row in alerts if not row["incident_id"]], root, listed),
        "retired_alert_names": _names(row for row in alerts if row["deployment"] and version_key(row) not in listed),
        "failed_checks": sections["failed_checks"],
        "schema_changes": sections["schema_changes"],
        "predictions": _usual_predictions(scope.day, volume),
        "volume_figures": _volume_figures(scope, volume, colours),
        "quality_figures": _quality_figures(scope, sections["quality"], colours),
        "quality_statistics": grouped(sections["quality_statistics"], version_name),
        "backlog_figures": _backlog_figures([row for row in sections["backlog"] if version_key(row) in listed]),
        "heatmaps": _heatmaps(scope, sections["features"], sections["drift_levels"]),
        "distributions": _distributions(scope, sections["worst_features"], sections["distributions"]),
        "score_figures": _distributions(
            scope, [row for row in scores if row["current_mean"] is not None], sections["distributions"]
        ),
        "scoreless": _names(row for row in scores if row["current_mean"] is None),
        "rare_combinations": sections["rare_combinations"],
        "multivariate": sections["multivariate"],
        "importance": grouped(sections["importance"], version_name),
        "shadows": sections["shadows"],
        "slos": sections["slos"],
        "latency_figures": _latency_figures(scope, sections["latency"], colours),
        "latency_changes": sections["latency_changes"],
        "shown_nodes": SHOWN_NODES,
        "nodes": sections["nodes"],
        "chart_config": charts.CONFIG,
        "vega": f"{root}{page_files.VEGA}",
    }


# Alerts and inputs


def alert_groups(scope: Scope, alerts: Sequence[Row], root: str, listed: set[Key]) -> list[AlertGroup]:
    """Alerts by version: first those about whole partitions, then production, other deployments, and retired versions."""

    def urgency(alert: Row) -> tuple[bool, ...]:
        is_retired = alert["deployment"] is not None and version_key(alert) not in listed
        return alert["model_id"] is not None, is_retired, alert["deployment"] not in {None, "production"}

    groups = []
    for members in grouped(sorted(alerts, key=urgency), version_key).values():
        by_rule = grouped([_written_out(scope, alert, root) for alert in members], lambda alert: alert["rule"])
        folded = {rule: rows[_SHOWN_WHEN_FOLDED:] for rule, rows in by_rule.items() if len(rows) > _FOLD_BEYOND}
        shown = [
            alert for rule, rows in by_rule.items() for alert in (rows[:_SHOWN_WHEN_FOLDED] if rule in folded else rows)
        ]
        groups.append(AlertGroup(version_name(members[0]), shown, folded))
    return groups


def written_incidents(scope: Scope, incidents: Sequence[Row], alerts: Sequence[Row], root: str) -> list[dict[str, Any]]:
    """Incidents of the day with their alerts by descending weight, and the query that shows the first alert."""
    members = grouped(sorted(alerts, key=lambda alert: -(alert["weight"] or 0)), lambda alert: alert["incident_id"])
    found = []
    for row in incidents:
        rows = [_written_out(scope, alert, root) for alert in members.get(row["incident_id"], [])]
        found.append(
            {
                **row,
                "alerts": rows,
                "mark_text": mark_sentence(row),
                "runbook_link": _runbook_link(scope.settings, row["runbook"], root),
                "command": next((command_of(alert, scope.day) for alert in rows if _is_named(scope, alert)), None),
            }
        )
    return found


def _is_named(scope: Scope, alert: Row) -> bool:
    """Whether a page may name the segment of an alert."""
    return alert["segment"] in {None, ALL} or alert["sample_count"] >= scope.settings.reports.smallest_cell


def _written_out(scope: Scope, alert: Row, root: str) -> dict[str, Any]:
    unit = signal_of(alert["signal"]).unit
    return {
        **alert,
        "value_text": wording.in_unit(alert["value"], unit),
        "threshold_text": wording.in_unit(alert["threshold"], unit),
        "runbook_link": _runbook_link(scope.settings, alert["runbook"], root),
    }


def _runbook_link(settings: Settings, runbook: str | None, root: str) -> str | None:
    """Link from a page to the runbook of a rule; None if it is neither a web address nor a relative path."""
    if not runbook:
        return None
    if runbook.startswith(f"{PAGE}#"):
        return f"{root}{runbook}"
    address = urlsplit(runbook)
    if address.scheme in {"http", "https"}:
        return runbook
    if address.scheme or address.netloc or runbook.startswith("/"):
        return None
    return f"{root}{os.path.relpath(settings.resolve(runbook), page_files.folder(settings))}"


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


def _volume_figures(scope: Scope, volume: Sequence[Row], colours: Mapping[Any, str]) -> list[Figure]:
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


def _quality_figures(scope: Scope, rows: Sequence[Row], colours: Mapping[Any, str]) -> list[Figure]:
    span = scope.span(QUALITY_DAYS)
    figures = []
    for model, members in grouped(rows, lambda row: row["model_id"]).items():
        if all(row["auc"] is None for row in members):
            continue
        chart = charts.quality_chart(
            _in_series(members, colours),
            long_days=scope.quality_days,
            **span,
            description=f"AUC of {model} per day with its 95% interval, baseline, AUC with all labels known now, and label coverage",
        )
        latest = [row for row in members if row["dt"] == scope.day and row["window_days"] == scope.quality_days]
        figures.append(Figure(model, chart, latest, _series_legend(members, colours)))
    return figures


def _backlog_figures(rows: Sequence[Row]) -> list[Figure]:
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


def _heatmaps(scope: Scope, features: Sequence[Row], levels: Sequence[Row]) -> list[Figure]:
    span = scope.span(HEATMAP_DAYS)
    spells = grouped(levels, version_key)
    return [
        Figure(
            version_name(members[0]),
            charts.drift_heatmap(
                spells[key],
                members[:HEATMAP_FEATURES],
                **span,
                description=f"Drift of the features of {version_name(members[0])} per day",
            ),
            members,
            {words: charts.LEVEL_COLOURS[level] for level, words in charts.level_names(members).items()},
        )
        for key, members in grouped(features, version_key).items()
        if any(row["current_count"] for row in members)
    ]


def _distributions(scope: Scope, wanted: Sequence[Row], rows: Sequence[Row]) -> list[Figure]:
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


def _latency_figures(scope: Scope, rows: Sequence[Row], colours: Mapping[Any, str]) -> list[Figure]:
    span = scope.span(LATENCY_DAYS)
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


def _series_colours(rows: Sequence[Row]) -> dict[Key, str]:
    """A colour per version and deployment, the same in every chart of a page; the colours start again for each model."""
    colours = {}
    for members in grouped(rows, lambda row: row["model_id"]).values():
        for position, key in enumerate(dict.fromkeys(version_key(row) for row in members)):
            colours[key] = charts.SERIES_COLOURS[position % len(charts.SERIES_COLOURS)]
    return colours


def _in_series(rows: Sequence[Row], colours: Mapping[Any, str]) -> list[dict[str, Any]]:
    """Rows of one model with the names and colours of their lines."""
    return [{**row, "series": _series(row), "colour": colours[version_key(row)]} for row in rows]


def _series_legend(rows: Sequence[Row], colours: Mapping[Any, str]) -> dict[str, str]:
    return dict(sorted({_series(row): colours[version_key(row)] for row in rows}.items()))


def _series(row: Row) -> str:
    return f"{row['model_version']} {row['deployment']}"


def _names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(version_name(row) for row in rows))
