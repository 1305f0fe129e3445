"""The pages people read: one HTML file per day and an overview of all of them.

A page needs no network and no script to be viewed, and the same tables give the same bytes. Not here: drawing
(charts.py), what is counted (sql/report/), layout and the sentences around a chart (templates/).
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa

from driftlake import charts
from driftlake.config import Settings
from driftlake.errors import DriftlakeError
from driftlake.warehouse import Warehouse

if TYPE_CHECKING:
    import jinja2

Row = Mapping[str, Any]
Item = TypeVar("Item")
VerdictKind = Literal["attention", "watch", "fine", "unjudged"]

VERDICT_WORDS: Mapping[VerdictKind, str] = {
    "attention": "needs attention",
    "watch": "watch",
    "fine": "all right",
    "unjudged": "not judged",
}

# A version that has not predicted for this long is history: it gets no verdict.
RECENT_DAYS = 28
# How far back the charts look.
QUALITY_DAYS, VOLUME_DAYS, HEATMAP_DAYS, LATENCY_DAYS = 120, 90, 90, 90
# The windows a page speaks of; the configured ones nearest to them are taken.
DRIFT_WINDOW_DAYS, QUALITY_WINDOW_DAYS, SHORT_QUALITY_WINDOW_DAYS = 7, 28, 7

# Alerts of one rule and version: beyond the first number only the worst are shown, and the others folded up.
_FOLD_BEYOND, _SHOWN_WHEN_FOLDED = 8, 5
# A heatmap fits on a screen; the table below it has every feature.
_HEATMAP_FEATURES = 30
# Fewer overdue labels than this are no news.
_ON_TIME_SHARE = 0.01
_TEMPLATES = Path(__file__).resolve().parent / "templates"


class ReportError(DriftlakeError, LookupError):
    """There is nothing to report on, or no folder to write to."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model version is all right on a day, and the reasons in a sentence or two."""

    name: str
    kind: VerdictKind
    reasons: str

    @property
    def word(self) -> str:
        return VERDICT_WORDS[self.kind]


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """Alerts of one rule about one version, the worst first; `folded` ones are there for who asks."""

    name: str
    rule: str
    shown: Sequence[Row]
    folded: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, the name of what it is about, and the rows that its caption speaks of."""

    name: str
    svg: str
    facts: Sequence[Row]


def render_day(warehouse: Warehouse, settings: Settings, day: date) -> Path:
    """Write the page of `day` and return its path; a page that is there is replaced.

    Raises ReportError if nothing was processed for the day.
    """
    scope = _Scope.of(warehouse, settings, day)
    if not scope.runs:
        raise ReportError(
            f"nothing was processed for {day}",
            hint=f"run `driftlake backfill --from {day} --to {day}`, then ask for the report again",
        )
    return _write(settings, f"{day}.html", _render("day.html.j2", _day_content(scope)))


def render_index(warehouse: Warehouse, settings: Settings) -> Path:
    """Write the overview of the pages that are there and return its path.

    Raises ReportError if nothing was processed yet.
    """
    drift_days, quality_days = _window_days(settings)[:2]
    days = _rows(warehouse, "days", drift_window_days=drift_days, quality_window_days=quality_days)
    if not days:
        raise ReportError("nothing was processed yet", hint="run `driftlake run` or `driftlake backfill` first")
    folder = _folder(settings)
    written = [{**row, "kind": _kind_of_day(row)} for row in days if (folder / f"{row['dt']}.html").is_file()]
    newest = _Scope.of(warehouse, settings, days[-1]["dt"])
    facts, alerts = newest.model_facts(), newest.rows("alerts", day=newest.day)
    months = _grouped(written, lambda row: row["dt"].replace(day=1))
    content = {
        "newest": newest.day,
        "newest_has_page": bool(written) and written[-1]["dt"] == newest.day,
        "verdicts": _verdicts(newest, facts, alerts),
        "months": [(first, {row["dt"].day: row for row in rows}) for first, rows in reversed(months.items())],
        "day_count": len(written),
        "has_several_models": len({row["auc_model"] for row in written}) > 1,
        "drift_days": drift_days,
        "quality_days": quality_days,
    }
    return _write(settings, "index.html", _render("index.html.j2", content))


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a page is about and where its rows come from; `runs` is the newest run of each stage."""

    warehouse: Warehouse
    settings: Settings
    day: date
    runs: Mapping[str, Row]
    drift_days: int
    quality_days: int
    short_quality_days: int

    @classmethod
    def of(cls, warehouse: Warehouse, settings: Settings, day: date) -> _Scope:
        runs = {run["stage"]: run for run in _rows(warehouse, "runs", day=day)}
        return cls(warehouse, settings, day, runs, *_window_days(settings))

    def rows(self, name: str, **values: Any) -> list[dict[str, Any]]:
        return _rows(self.warehouse, name, **values)

    def span(self, days: int) -> dict[str, date]:
        """The last `days` days as query parameters, this day included."""
        return {"first_day": self.day - timedelta(days=days - 1), "last_day": self.day}

    def model_facts(self) -> list[dict[str, Any]]:
        """What the verdicts rest on: one row per version that predicted lately."""
        return self.rows(
            "models",
            day=self.day,
            recent_days=RECENT_DAYS,
            drift_window_days=self.drift_days,
            quality_window_days=self.quality_days,
        )


def _window_days(settings: Settings) -> tuple[int, int, int]:
    def nearest(configured: Sequence[int], wanted: int) -> int:
        return min(configured, key=lambda days: (abs(days - wanted), days))

    quality_days = settings.quality.windows_days
    return (
        nearest(settings.drift.windows_days, DRIFT_WINDOW_DAYS),
        nearest(quality_days, QUALITY_WINDOW_DAYS),
        nearest(quality_days, SHORT_QUALITY_WINDOW_DAYS),
    )


def _day_content(scope: _Scope) -> dict[str, Any]:
    facts, alerts = scope.model_facts(), scope.rows("alerts", day=scope.day)
    features = scope.rows("features", day=scope.day, window_days=scope.drift_days)
    scores = scope.rows("scores", day=scope.day, window_days=scope.drift_days)
    volume = scope.rows("volume", **scope.span(QUALITY_DAYS))
    colours = _series_colours([*volume, *facts])
    listed = {_key(row) for row in facts}
    return {
        "day": scope.day,
        "settings": scope.settings,
        "drift_days": scope.drift_days,
        "quality_days": scope.quality_days,
        "short_quality_days": scope.short_quality_days,
        "runs": scope.runs,
        "facts": facts,
        "verdicts": _verdicts(scope, facts, alerts),
        "alerts": alerts,
        "alert_groups": _alert_groups(scope, alerts),
        "retired_alert_names": _names(row for row in alerts if row["deployment"] and _key(row) not in listed),
        "inputs": scope.rows("inputs", day=scope.day),
        "failed_checks": scope.rows("failed_checks", day=scope.day),
        "arrivals": scope.warehouse.sql("select * from label_arrivals where dt = ?", [scope.day]).to_pylist(),
        "predictions": _usual_predictions(scope.day, volume),
        "volume_figures": _volume_figures(scope, volume, colours),
        "quality_figures": _quality_figures(scope, colours),
        "backlog_figures": _backlog_figures(scope, listed),
        "heatmaps": _heatmaps(scope, features),
        "distributions": _distributions(scope, _worst_features(features, scope.settings.reports.worst_features)),
        "score_figures": _distributions(scope, [row for row in scores if row["current_mean"] is not None]),
        "scoreless": _names(row for row in scores if row["current_mean"] is None),
        "latency_figures": _latency_figures(scope, colours),
    }


# Verdicts


def _verdicts(scope: _Scope, facts: Sequence[Row], alerts: Sequence[Row]) -> list[Verdict]:
    return [_verdict(scope, row, [alert for alert in alerts if _is_about(alert, row)]) for row in facts]


def _verdict(scope: _Scope, facts: Row, alerts: Sequence[Row]) -> Verdict:
    obstacle = _obstacle(scope, facts)
    if obstacle:
        open_alerts = f" {_count(len(alerts), 'alert')} open." if alerts else ""
        return Verdict(_name(facts), "unjudged", f"{obstacle}{open_alerts}")
    kind: VerdictKind = "fine"
    if facts["critical_count"]:
        kind = "attention"
    elif facts["warn_alert_count"] or facts["drift_count"]:
        # drift that no rule has reported (yet) is no emergency, but calling it all right would be wrong
        kind = "watch"
    elif facts["auc"] is None and facts["unjudged_count"] == facts["feature_count"]:
        return Verdict(_name(facts), "unjudged", f"Too few rows: {_too_few(scope, facts)}.")
    return Verdict(_name(facts), kind, _findings(scope, facts, alerts))


def _is_about(alert: Row, facts: Row) -> bool:
    """Whether an alert concerns a version; one without a model is about the whole partition."""
    return alert["model_id"] is None or (
        (alert["model_id"], alert["model_version"]) == (facts["model_id"], facts["model_version"])
        and alert["deployment"] in {None, facts["deployment"]}
    )


def _obstacle(scope: _Scope, facts: Row) -> str | None:
    """Why the day says nothing about a version; None if it does."""
    telemetry = scope.runs.get("profiles")
    if telemetry is None:
        return "The telemetry of the day was not profiled."
    if telemetry["outcome"] in {"refused", "missing", "empty"}:
        return f"Telemetry {telemetry['outcome']}: {telemetry['reason']}."
    if not facts["prediction_count"]:
        return f"No predictions on the day; the last were on {_long_day(facts['last_predicted_on'])}."
    if "alerts" not in scope.runs:
        return "The alert rules were not evaluated for the day."
    return None


def _too_few(scope: _Scope, facts: Row) -> str:
    rows = _count(facts["drift_sample_count"] or 0, "prediction")
    return f"{rows} in {scope.drift_days} days, and no AUC ({facts['auc_reason'] or 'not measured'})"


def _findings(scope: _Scope, facts: Row, alerts: Sequence[Row]) -> str:
    """The reasons of a verdict: drift, ranking and labels in one sentence, what other rules found in a second."""
    main = [_drift_finding(scope, facts), _auc_finding(scope, facts), _label_finding(scope, facts, alerts)]
    others = [_other_finding(signal, list(group)) for signal, group in _grouped(alerts, lambda a: a["signal"]).items()]
    sentences = [", ".join(filter(None, found)) for found in (main, others)]
    if facts["drift_count"] and not alerts:
        sentences.append("no rule has fired")
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences if sentence)


def _drift_finding(scope: _Scope, facts: Row) -> str:
    over = f"over {_count(scope.drift_days, 'day')}"
    if facts["feature_count"] is None:
        return "drift was not computed"
    if facts["worst_feature"] is None:
        return f"too few rows to judge drift {over}"
    worst = f"worst: {facts['worst_feature']}, PSI {_psi(facts['worst_psi'])}"
    if facts["drift_count"]:
        return f"{_count(facts['drift_count'], 'feature')} drifted {over} ({worst})"
    if facts["warn_count"]:
        return f"{_count(facts['warn_count'], 'feature')} shifted noticeably {over} ({worst})"
    return f"no feature drifted {over}"


def _auc_finding(scope: _Scope, facts: Row) -> str:
    if scope.settings.labels is None:
        return "no labels are configured, so ranking is not measured"
    if facts["auc"] is None:
        return f"no AUC: {facts['auc_reason'] or 'not measured'}"
    found = f"AUC {facts['auc']:.3f} over {_count(scope.quality_days, 'day')}"
    if facts["auc_drop"] is None:
        return found
    side = "below" if facts["auc_drop"] > 0 else "above"
    return f"{found}, {abs(facts['auc_drop']):.3f} {side} its baseline"


def _label_finding(scope: _Scope, facts: Row, alerts: Sequence[Row]) -> str | None:
    if scope.settings.labels is None or facts["overdue_share"] is None:
        return None
    if any(alert["signal"] == "label_backlog.overdue_share" for alert in alerts):
        return f"{_percent(facts['overdue_share'])} of the labels overdue"
    if facts["overdue_share"] < _ON_TIME_SHARE:
        return "labels on time"
    return f"labels mostly on time ({_percent(facts['overdue_share'])} overdue)"


def _other_finding(signal: str, alerts: Sequence[Row]) -> str | None:
    """What the alerts of a signal say that the main sentence does not."""
    worst = max(alerts, key=lambda alert: alert["value"])
    value = _signal_value(signal, worst["value"])
    match signal:
        case "feature_drift.psi" | "model_quality.auc_drop" | "label_backlog.overdue_share":
            return None
        case "feature_drift.missing_rate_change":
            many = _count(len(alerts), "feature")
            return f"missing values of {many} changed against training (most: {worst['feature']}, by {value})"
        case "prediction_drift.psi":
            return f"scores drifted (PSI {value})"
        case "service_levels.p95_ms":
            return f"the 95th percentile of {worst['feature']} is {value}"
        case "contract_checks.failed":
            return f"{_count(len(alerts), 'contract check')} failed"
        case _:
            return f"{_count(len(alerts), 'alert')} of {worst['rule']} (worst: {value})"


def _kind_of_day(row: Row) -> VerdictKind:
    """The worst that a day's alerts say, as the verdicts of its page would."""
    if row["telemetry_outcome"] in {None, "refused", "missing", "empty"} or not row["has_alerts"]:
        return "unjudged"
    if row["critical_count"]:
        return "attention"
    return "watch" if row["warn_count"] or row["drift_count"] else "fine"


# Alerts and inputs


def _alert_groups(scope: _Scope, alerts: Sequence[Row]) -> list[AlertGroup]:
    """Alerts by version and rule, in the order of their worst alert."""
    groups = []
    for (_, rule), members in _grouped(alerts, lambda alert: (_key(alert), alert["rule"])).items():
        rows = [{**alert, **_shown_values(scope, alert)} for alert in members]
        cut = _SHOWN_WHEN_FOLDED if len(rows) > _FOLD_BEYOND else len(rows)
        groups.append(AlertGroup(_name(members[0]), rule, rows[:cut], rows[cut:]))
    return groups


def _shown_values(scope: _Scope, alert: Row) -> dict[str, Any]:
    return {
        "value_text": _signal_value(alert["signal"], alert["value"]),
        "threshold_text": _signal_value(alert["signal"], alert["threshold"]),
        "runbook_link": _runbook_link(scope.settings, alert["runbook"]),
    }


def _runbook_link(settings: Settings, runbook: str | None) -> str | None:
    """Where the runbook of a rule can be opened from a page; None if it is no web address and no relative path."""
    if not runbook:
        return None
    address = urlsplit(runbook)
    if address.scheme in {"http", "https"}:
        return runbook
    if address.scheme or address.netloc or runbook.startswith("/"):
        return None
    return os.path.relpath(settings.root / runbook, _folder(settings))


def _usual_predictions(day: date, volume: Sequence[Row]) -> list[dict[str, Any]]:
    """Predictions of the day per version, beside the median of the days before on which it predicted."""
    before = day - timedelta(days=RECENT_DAYS)
    rows = []
    for members in _grouped(volume, _key).values():
        earlier = [row["prediction_count"] for row in members if before <= row["dt"] < day]
        today = sum(row["prediction_count"] for row in members if row["dt"] == day)
        if earlier or today:
            usual = statistics.median(earlier) if earlier else None
            rows.append({"name": _name(members[0]), "prediction_count": today, "usual_count": usual})
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
        )
        for model, rows in _grouped(recent, lambda row: row["model_id"]).items()
    ]


def _quality_figures(scope: _Scope, colours: Mapping[Any, str]) -> list[Figure]:
    span = scope.span(QUALITY_DAYS)
    rows = scope.rows("quality", **span, windows_days=[scope.quality_days, scope.short_quality_days])
    figures = []
    for model, members in _grouped(rows, lambda row: row["model_id"]).items():
        if all(row["auc"] is None for row in members):
            continue
        svg = charts.quality_chart(
            _in_series(members, colours),
            long_days=scope.quality_days,
            **span,
            description=f"AUC of {model} per day with its 95% interval, baseline and hindsight, and label coverage",
        )
        latest = [row for row in members if row["dt"] == scope.day and row["window_days"] == scope.quality_days]
        figures.append(Figure(model, svg, latest))
    return figures


def _backlog_figures(scope: _Scope, listed: set[tuple[str, str, str]]) -> list[Figure]:
    rows = [row for row in scope.rows("backlog", day=scope.day) if _key(row) in listed]
    return [
        Figure(
            _name(members[0]),
            charts.backlog_chart(members, description=f"Predictions of {_name(members[0])} without a label, by age"),
            [row for row in members if row["age_bucket"] == "all"],
        )
        for members in _grouped(rows, _key).values()
    ]


def _heatmaps(scope: _Scope, features: Sequence[Row]) -> list[Figure]:
    span = scope.span(HEATMAP_DAYS)
    spells = _grouped(scope.rows("drift_levels", **span, window_days=scope.drift_days), _key)
    return [
        Figure(
            _name(members[0]),
            charts.drift_heatmap(
                spells[key],
                members[:_HEATMAP_FEATURES],
                **span,
                description=f"Drift of the features of {_name(members[0])} per day",
            ),
            members,
        )
        for key, members in _grouped(features, _key).items()
        if any(row["current_count"] for row in members)
    ]


def _worst_features(features: Sequence[Row], count: int) -> list[Row]:
    """The features to look at first: those of production, then by PSI."""
    judged = [row for row in features if row["psi"] is not None and row["outcome"] != "insufficient_data"]
    return sorted(judged, key=lambda row: (row["deployment"] != "production", -row["psi"]))[:count]


def _distributions(scope: _Scope, wanted: Sequence[Row]) -> list[Figure]:
    names = ("model_id", "model_version", "deployment", "feature")
    schema = pa.schema([(name, pa.string()) for name in names])
    with scope.warehouse.offered(wanted_features=pa.Table.from_pylist([dict(row) for row in wanted], schema=schema)):
        rows = scope.rows("distributions", **scope.span(scope.drift_days))
    bins = _grouped(rows, lambda row: (_key(row), row["feature"]))
    return [
        Figure(
            _name(row),
            charts.distribution_chart(
                bins[_key(row), row["feature"]],
                description=f"Distribution of {row['feature']} of {_name(row)} in training and in production",
            ),
            [row],
        )
        for row in wanted
        if (_key(row), row["feature"]) in bins
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
            [{**row, "name": _name(row)} for row in members if row["dt"] == scope.day],
        )
        for (model, metric), members in _grouped(rows, lambda row: (row["model_id"], row["metric"])).items()
    ]


def _series_colours(rows: Sequence[Row]) -> dict[tuple[str, str, str], str]:
    """A colour per version and deployment, the same in every chart of a page; each model starts anew."""
    colours = {}
    for members in _grouped(rows, lambda row: row["model_id"]).values():
        for position, key in enumerate(dict.fromkeys(_key(row) for row in members)):
            colours[key] = charts.SERIES_COLOURS[position % len(charts.SERIES_COLOURS)]
    return colours


def _in_series(rows: Sequence[Row], colours: Mapping[Any, str]) -> list[dict[str, Any]]:
    """Rows of one model with the name and the colour of their line."""
    return [
        {**row, "series": f"{row['model_version']} {row['deployment']}", "colour": colours[_key(row)]} for row in rows
    ]


# Words and numbers


def _key(row: Row) -> tuple[str, str, str]:
    return row["model_id"], row["model_version"], row["deployment"]


def _name(row: Row) -> str:
    if row["model_id"] is None:
        return "all models"
    deployment = f" ({row['deployment']})" if row["deployment"] else ""
    return f"{row['model_id']} {row['model_version']}{deployment}"


def _names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(_name(row) for row in rows))


def _grouped(rows: Iterable[Item], key: Callable[[Item], Any]) -> dict[Any, list[Item]]:
    """Rows by key, both in the order they came in."""
    groups: dict[Any, list[Item]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _count(count: float, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _percent(share: float, digits: int = 1) -> str:
    return f"{share:.{digits}%}"


def _psi(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _q_value(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _milliseconds(value: float) -> str:
    return f"{value:.3g} ms" if value < 1000 else f"{value:,.0f} ms"


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


def _long_day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _signal_value(signal: str, value: float) -> str:
    """A value or threshold of an alert in the unit of its signal."""
    match signal.partition(".")[2]:
        case "overdue_share" | "missing_rate_change":
            return _percent(value)
        case "p95_ms":
            return _milliseconds(value)
        case "failed":
            return _number(value)
        case _:
            return f"{value:.3g}"


# Files


def _rows(warehouse: Warehouse, name: str, **values: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = warehouse.query(f"report/{name}", **values).to_pylist()
    return rows


def _render(template: str, content: Mapping[str, Any]) -> str:
    return _environment().get_template(template).render(content)


def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "percent": _percent,
        "psi": _psi,
        "q_value": _q_value,
        "milliseconds": _milliseconds,
        "size": _bytes,
        "long_day": _long_day,
    }
    environment.globals |= {"verdict_words": VERDICT_WORDS, "count": _count}
    return environment


def _folder(settings: Settings) -> Path:
    location = settings.resolve(settings.reports.path)
    if "://" in location:
        raise ReportError(f"reports.path {location} is no folder", hint="give a folder; copy it to S3 afterwards")
    return Path(location)


def _write(settings: Settings, name: str, html: str) -> Path:
    """Write a page so that a reader sees the old one or the new one, never half of it."""
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(html)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
