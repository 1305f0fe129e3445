"""The verdict on a model version as a page shows it: the row of model_verdicts, with further facts and alerts of the day.

Pure functions. Not here: what makes a verdict (`driftlake.alerts.verdicts`), reading the facts (sql/report/models.sql), how a number is written
(`driftlake.vocabulary.wording`), and laying out a page (`driftlake.report.pages`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from driftlake.config import signal_of
from driftlake.maths.segments import ALL
from driftlake.vocabulary.wording import (
    counted,
    decimal,
    in_unit,
    leaves_out,
    long_day,
    measured,
    percent,
    statistic_name,
    three_decimals,
    version_name,
)

Row = Mapping[str, Any]
Item = TypeVar("Item")
VerdictKind = Literal["attention", "watch", "fine", "unjudged"]

# In the order in which they are shown.
VERDICT_WORDS: Mapping[VerdictKind, str] = {
    "attention": "needs attention",
    "watch": "watch",
    "unjudged": "not judged",
    "fine": "all right",
}

# Outcomes of the stage `profiles` after which the tables have no new rows of the day.
_NO_TELEMETRY = ("refused", "failed", "missing", "empty")
# Below the first share overdue labels are not mentioned; up to the second, most labels are on time.
_ON_TIME_SHARE, _MOSTLY_ON_TIME_SHARE = 0.01, 0.05


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a model version and day, with the reasons in one or two sentences."""

    name: str
    kind: VerdictKind
    reasons: str
    # the verdict in model_verdicts, as written on the page
    word: str = VERDICT_WORDS["unjudged"]


# How a page shows each verdict of model_verdicts.
_KINDS: Mapping[str, VerdictKind] = {
    "harmed": "attention",
    "broken": "attention",
    "blind": "attention",
    "watch": "watch",
    "well": "fine",
}


@dataclass(frozen=True, slots=True)
class MeasuredWindows:
    """Windows in days over which the facts were measured, and whether labels are configured."""

    drift_days: int
    quality_days: int
    has_labels: bool


def judge(facts: Row, alerts: Iterable[Row], runs: Mapping[str, Row], windows: MeasuredWindows) -> Verdict:
    """The verdict on one version, from model_verdicts, with further findings.

    A day without information about the version is not judged, even if alerts are open; neither is one without a stored
    verdict.

    Parameters
    ----------
    facts : a row of sql/report/models.sql
    alerts : rows of sql/report/alerts.sql; those about other versions are left out here
    runs : rows of sql/report/runs.sql by stage
    """
    own = [alert for alert in alerts if _is_about(alert, facts)]
    name = version_name(facts)
    if obstacle := _obstacle(facts, runs):
        return Verdict(name, "unjudged", f"{obstacle} {_still_open(own)}".strip())
    word = facts["verdict"]
    return Verdict(name, _KINDS[word], f"{facts['verdict_sentence']} {_findings(facts, own, windows)}", word)


def kind_of_day(row: Row) -> VerdictKind:
    """The worst verdict of a day, from a row of sql/report/days.sql."""
    is_unknown = row["telemetry_outcome"] in {None, *_NO_TELEMETRY} or row["has_failed"] or row["worst_verdict"] is None
    return "unjudged" if is_unknown else _KINDS[row["worst_verdict"]]


def _is_about(alert: Row, facts: Row) -> bool:
    """Whether an alert concerns a version; an alert without a model is about the whole partition."""
    if alert["model_id"] is None:
        return True
    # an alert without a version is about all versions
    is_same_version = alert["model_version"] in {None, facts["model_version"]}
    return (
        alert["model_id"] == facts["model_id"]
        and is_same_version
        and alert["deployment"] in {None, facts["deployment"]}
    )


def _obstacle(facts: Row, runs: Mapping[str, Row]) -> str | None:
    """Why there is no information about a version on the day; None if there is some."""
    telemetry = runs.get("profiles")
    if telemetry is None:
        return "The telemetry of the day was not profiled."
    if telemetry["outcome"] in _NO_TELEMETRY:
        return f"Telemetry {telemetry['outcome']}: {telemetry['reason']}."
    if failed := _failure(facts, runs):
        return failed
    if not facts["prediction_count"]:
        return f"No predictions on the day; the last were on {long_day(facts['last_predicted_on'])}."
    if "alerts" not in runs:
        return "The alert rules were not evaluated for the day."
    return None if facts["verdict"] else "The day was processed before there were verdicts: process it again."


def _failure(facts: Row, runs: Mapping[str, Row]) -> str | None:
    """The stage of the day that failed or left the version out, with the reason; None if there is none."""
    version = f"{facts['model_id']} {facts['model_version']}"
    for stage, run in runs.items():
        if run["outcome"] == "failed":
            return f"Stage {stage} failed: {run['reason']}."
        if run["outcome"] == "partial" and leaves_out(run["reason"], version):
            return f"Stage {stage} left {version} out: {run['reason']}."
    return None


def _still_open(alerts: Sequence[Row]) -> str:
    if not alerts:
        return ""
    return f"{counted(len(alerts), 'alert')} {'is' if len(alerts) == 1 else 'are'} open."


def _findings(facts: Row, alerts: Sequence[Row], windows: MeasuredWindows) -> str:
    """The reasons of a verdict: drift, ranking and labels in one sentence, findings of other rules in a second."""
    main = [_drift_finding(facts, windows), *_label_findings(facts, alerts, windows)]
    covered = {"performance.loss_evidence"} if facts["verdict"] == "harmed" else set()
    others = [
        _other_finding(signal, of_signal)
        for signal, of_signal in grouped(alerts, _signal).items()
        if signal not in covered
    ]
    sentences = [", ".join(filter(None, found)) for found in (main, others)]
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences if sentence)


def grouped(rows: Iterable[Item], key: Callable[[Item], Any]) -> dict[Any, list[Item]]:
    """Rows by key; groups and rows keep their order."""
    groups: dict[Any, list[Item]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _signal(alert: Row) -> str:
    return str(alert["signal"])


def _drift_finding(facts: Row, windows: MeasuredWindows) -> str:
    over = f"over {counted(windows.drift_days, 'day')}"
    if facts["feature_count"] is None:
        return "drift was not computed"
    if facts["worst_feature"] is None:
        return f"drift {over} cannot be judged ({facts['unjudged_reason'] or 'no training values'})"
    worst = f"worst: {facts['worst_feature']}, PSI {decimal(facts['worst_psi'])}"
    if facts["drift_count"]:
        return f"{counted(facts['drift_count'], 'feature')} drifted {over} ({worst})"
    if facts["warn_count"]:
        return f"{counted(facts['warn_count'], 'feature')} shifted noticeably {over} ({worst})"
    return f"no feature drifted {over}"


def _label_findings(facts: Row, alerts: Sequence[Row], windows: MeasuredWindows) -> list[str | None]:
    if not windows.has_labels:
        return ["no labels are configured, so its quality is not known"]
    # the sentence of the verdict already contains the tested performance
    quality = None if facts["is_performance_mentioned"] else _quality_finding(facts, windows)
    return [quality, _backlog_finding(facts, alerts)]


def _quality_finding(facts: Row, windows: MeasuredWindows) -> str:
    is_error = facts["quality_statistic"] == "mean_absolute_error"
    name, written = ("mean absolute error", measured) if is_error else ("AUC", three_decimals)
    if facts["quality"] is None:
        return f"no {name}: {facts['quality_reason'] or 'not measured'}"
    found = f"{name} {written(facts['quality'])} over {counted(windows.quality_days, 'day')}"
    if facts["quality_drop"] is None:
        return found
    side = "above" if (facts["quality_drop"] > 0) == is_error else "below"
    return f"{found}, {written(abs(facts['quality_drop']))} {side} its baseline"


def _backlog_finding(facts: Row, alerts: Sequence[Row]) -> str | None:
    overdue = facts["overdue_share"]
    if overdue is None:
        return None
    if overdue >= _MOSTLY_ON_TIME_SHARE or any(alert["signal"] == "label_backlog.overdue_share" for alert in alerts):
        return f"{percent(overdue)} of its labels overdue"
    return "labels on time" if overdue < _ON_TIME_SHARE else f"labels mostly on time ({percent(overdue)} overdue)"


def _other_finding(name: str, alerts: Sequence[Row]) -> str | None:
    """What the alerts of a signal add to the main sentence."""
    signal = signal_of(name)
    if signal.finding is None:
        return None
    whole = [alert for alert in alerts if alert["segment"] in {None, ALL}]
    worst = max(whole or alerts, key=lambda alert: alert["value"])
    finding = signal.finding.format(
        alerts=counted(len(alerts), "alert"),
        features=counted(len(alerts), "feature"),
        checks=counted(len(alerts), "contract check"),
        feature=statistic_name(worst["feature"]) if name.startswith("performance.") else worst["feature"],
        value=in_unit(worst["value"], signal.unit),
        rule=worst["rule"],
    )
    return finding if whole else f"{finding} in one segment"
