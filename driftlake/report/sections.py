"""The rows behind the pages of a day: every section is read once for all models, then divided by model.

Not here: what a page does with them (`driftlake.report.model_page`, `driftlake.report.fleet_page`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from driftlake.config import Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.report import verdicts
from driftlake.report.all_labels_auc import ClassLabels, all_labels_auc
from driftlake.report.verdicts import MeasuredWindows, Row, Verdict, grouped

# A version without predictions for this many days gets no verdict.
RECENT_DAYS = 28
# Days that the charts show.
QUALITY_DAYS, VOLUME_DAYS, HEATMAP_DAYS, LATENCY_DAYS, PERFORMANCE_DAYS = 120, 90, 90, 90, 60
# AUC is drawn over the long window and over a short one: the configured window nearest to this.
SHORT_QUALITY_DAYS = 7
# Number of nodes of a version on a page: the slowest.
SHOWN_NODES = 10

# Sections about the day as a whole; the others have a row's model in `model_id`.
_OF_THE_DAY = ("inputs", "arrivals")

Key = tuple[str, str, str]
Sections = Mapping[str, Sequence[Row]]


@dataclass(frozen=True, slots=True)
class Scope:
    """The subject of a page and the source of its rows; `runs` has the newest run of each stage."""

    warehouse: Warehouse
    settings: Settings
    day: date
    runs: Mapping[str, Row]

    @classmethod
    def of(cls, warehouse: Warehouse, settings: Settings, day: date) -> Scope:
        """The scope of a day."""
        runs = {run["stage"]: run for run in report_rows(warehouse, "runs", day=day)}
        return cls(warehouse, settings, day, runs)

    @property
    def drift_days(self) -> int:
        """The window of drift that pages show."""
        return self.settings.drift.headline_window_days

    @property
    def quality_days(self) -> int:
        """The window of quality that pages show."""
        return self.settings.quality.headline_window_days

    @property
    def short_quality_days(self) -> int:
        """The window of the thin lines."""
        return min(self.settings.quality.windows_days, key=lambda days: (abs(days - SHORT_QUALITY_DAYS), days))

    def rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        """The rows of sql/report/<name>.sql."""
        return report_rows(self.warehouse, name, **values)

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
        """The open alerts."""
        return self.rows("alerts", day=self.day, smallest_cell=self.settings.reports.smallest_cell)

    def judge(self, facts: Sequence[Row], alerts: Sequence[Row]) -> list[tuple[Row, Verdict]]:
        """Every version with its verdict, the worst first."""
        windows = MeasuredWindows(self.drift_days, self.quality_days, self.settings.labels is not None)
        by_model = grouped(alerts, lambda alert: alert["model_id"])
        judged = [
            (
                row,
                verdicts.judge(row, [*by_model.get(row["model_id"], []), *by_model.get(None, [])], self.runs, windows),
            )
            for row in facts
        ]
        order = list(verdicts.VERDICT_WORDS)
        return sorted(judged, key=lambda pair: order.index(pair[1].kind))


def report_rows(warehouse: Warehouse, name: str, **values: Any) -> list[dict[str, Any]]:
    """The rows of sql/report/<name>.sql."""
    rows: list[dict[str, Any]] = warehouse.query(f"report/{name}", **values).to_pylist()
    return rows


def version_key(row: Row) -> Key:
    """The key of a deployed version."""
    return row["model_id"], row["model_version"], row["deployment"]


def read_sections(scope: Scope) -> Sections:
    """The rows of every section of a day, a statement per section."""
    day, cell = {"day": scope.day}, {"smallest_cell": scope.settings.reports.smallest_cell}
    drift = {**day, "window_days": scope.drift_days}
    quality = {**day, "window_days": scope.quality_days}
    features, scores = scope.rows("features", **drift), scope.rows("scores", **drift)
    worst = _worst_features(features, scope.settings.reports.worst_features)
    return {
        "models": scope.model_facts(),
        "alerts": scope.alerts(),
        "incidents": scope.rows("incidents", **day),
        "inputs": scope.rows("inputs", **day),
        "arrivals": scope.warehouse.sql("select * from label_arrivals where dt = ?", [scope.day]).to_pylist(),
        "failed_checks": scope.rows("failed_checks", **day),
        "schema_changes": scope.rows("schema_changes", **day),
        "volume": scope.rows("volume", **scope.span(QUALITY_DAYS)),
        "performance": scope.rows("performance", **scope.span(PERFORMANCE_DAYS)),
        "quality": [*_quality(scope)],
        "quality_statistics": scope.rows("quality_statistics", **quality),
        # there may be rows from a time when labels were configured
        "backlog": scope.rows("backlog", **day) if scope.settings.labels else [],
        "features": features,
        "drift_levels": scope.rows("drift_levels", **scope.span(HEATMAP_DAYS), window_days=scope.drift_days),
        "scores": scores,
        "worst_features": worst,
        "distributions": _distributions(scope, [*worst, *scores]),
        "rare_combinations": scope.rows("rare_combinations", **drift, **cell),
        "multivariate": scope.rows("multivariate", **drift),
        "importance": scope.rows("importance", **drift),
        "shadows": scope.rows("shadow", **quality),
        "slos": scope.rows("slos", **day),
        "latency": scope.rows("latency", **scope.span(LATENCY_DAYS)),
        "latency_changes": scope.rows("latency_changes", **day) if scope.settings.telemetry.latencies else [],
        "nodes": scope.rows("nodes", **day, node_count=SHOWN_NODES),
    }


def model_ids(sections: Sections) -> list[str]:
    """The models that a day shows: they predicted recently, or an alert or incident about them is open."""
    named = (row["model_id"] for name in ("models", "alerts", "incidents") for row in sections[name])
    return list(dict.fromkeys(model_id for model_id in named if model_id is not None))


def divided(sections: Sections) -> dict[str, Sections]:
    """The sections of each model. Alerts that name no model are about all, and so are their incidents."""
    by_section = {
        name: grouped(rows, lambda row: row["model_id"]) for name, rows in sections.items() if name not in _OF_THE_DAY
    }
    shared = {name: by_section[name].get(None, []) for name in ("alerts", "incidents")}
    return {
        model_id: {
            **{name: groups.get(model_id, []) for name, groups in by_section.items()},
            **_with_shared(by_section, shared, model_id),
        }
        for model_id in model_ids(sections)
    }


def of_no_model(sections: Sections, name: str) -> list[Row]:
    """Rows of a section that are about whole partitions or several models."""
    return [row for row in sections[name] if row["model_id"] is None]


def _with_shared(
    by_section: Mapping[str, Mapping[str | None, Sequence[Row]]], shared: Sections, model_id: str
) -> dict[str, list[Row]]:
    alerts = [*by_section["alerts"].get(model_id, []), *shared["alerts"]]
    about = {alert["incident_id"] for alert in alerts}
    incidents = [row for row in shared["incidents"] if row["incident_id"] in about]
    return {"alerts": alerts, "incidents": [*by_section["incidents"].get(model_id, []), *incidents]}


def _worst_features(features: Sequence[Row], count: int) -> list[Row]:
    """The features of each model to look at first: those of production versions, then by descending PSI."""
    judged = [row for row in features if row["psi"] is not None and row["outcome"] != "insufficient_data"]
    ranked = sorted(judged, key=lambda row: (row["deployment"] != "production", -row["psi"]))
    return [row for rows in grouped(ranked, lambda row: row["model_id"]).values() for row in rows[:count]]


def _distributions(scope: Scope, wanted: Sequence[Row]) -> list[dict[str, Any]]:
    names = ("model_id", "model_version", "deployment", "feature")
    schema = pa.schema([(name, pa.string()) for name in names])
    with scope.warehouse.registered(wanted_features=pa.Table.from_pylist([dict(row) for row in wanted], schema=schema)):
        return scope.rows("distributions", **scope.span(scope.drift_days))


def _quality(scope: Scope) -> Iterator[dict[str, Any]]:
    """The rows of sql/report/quality.sql with `all_labels_auc`, which only the long window has."""
    long_days = scope.quality_days
    rows = scope.rows("quality", **scope.span(QUALITY_DAYS), windows_days=[long_days, scope.short_quality_days])
    if not rows:
        return
    first_day = scope.day - timedelta(days=QUALITY_DAYS + long_days)
    labels = _labels_by_version(scope, first_day)
    for key, members in grouped(rows, version_key).items():
        of_window = [row for row in members if row["window_days"] == long_days and row["has_predictions"]]
        values = all_labels_auc(
            labels.get(key, []),
            np.array([(row["dt"] - first_day).days for row in of_window], np.int64),
            long_days,
            np.array([row["minimum_class_count"] for row in of_window], np.int64),
        )
        known = {row["dt"]: value for row, value in zip(of_window, values.tolist(), strict=True)}
        for row in members:
            value = known.get(row["dt"]) if row["window_days"] == long_days else None
            yield {**row, "all_labels_auc": None if value is None or math.isnan(value) else value}


def _labels_by_version(scope: Scope, first_day: date) -> dict[Key, list[ClassLabels]]:
    """The labels of every class of each version; lists stay arrays, because a fleet has millions of counts."""
    table = scope.warehouse.query("report/known_labels", first_day=first_day, last_day=scope.day)
    names = ("day_numbers", "bin_positions", "positive_counts", "negative_counts")
    labels: dict[Key, list[ClassLabels]] = {}
    for place, row in enumerate(table.drop_columns(names).to_pylist()):
        counts = (np.asarray(table[name][place].values, np.int64) for name in names)
        labels.setdefault(version_key(row), []).append(ClassLabels(*counts))
    return labels
