"""Checks whether verdicts are right, from the warehouse alone and in seconds: models with known faults, and the flights with all labels.

    PYTHONPATH=$PWD python -m bench.decisions FOLDER [FOLDER ...]

A folder with a `scenarios.yaml` is one of `bench.known_scenarios`; any other is judged as the flights example. Common rules are
compared on the same rows: a PSI over 0.25 of any feature over seven days against training, and three standard
deviations of a daily metric (NannyML's default), learned from the days before. The metric is realised once half of a
day's labels have arrived, or estimated. A page of such a rule is a run of consecutive days.

Not here: the performance by all labels (`bench.performance_with_all_labels`), and projects.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bench.measure import save
from bench.performance_with_all_labels import (
    Floats,
    Interval,
    auc,
    beyond_three_deviations,
    clustered_auc,
    first_knowable,
    runs,
)
from driftlake.config import load_settings
from driftlake.inputs.partitions import days_between
from driftlake.lake.warehouse import Warehouse

QUIET = ("well", "watch")
VERDICTS = ("well", "watch", "harmed", "broken", "blind", "critical")
# the verdict for each kind of incident that pages
KIND_OF = {"harmed": "harm", "broken": "break", "blind": "blind"}
# days from which the common rules learn; faults begin later
REFERENCE_DAYS = 60
AUC_TOLERANCE = 0.02
# of the mean absolute error at the baseline
ERROR_TOLERANCE_SHARE = 0.1
WITHIN_DAYS = {"data": 2, "promise": 2, "labels": 7, "scores": 7}


# --- verdicts and pages ---


@dataclass(frozen=True, slots=True)
class Page:
    """An incident that pages, and the first day on which it does."""

    on: date
    kind: str
    cause: str
    title: str
    opened_on: date


@dataclass(frozen=True, slots=True)
class Story:
    """The verdicts on a model by day, and its pages in order."""

    verdicts: Mapping[date, str]
    pages: Sequence[Page]

    def first(self, verdicts: Sequence[str], since: date) -> date | None:
        """First day of some verdicts from a day on."""
        return min(
            (day for day, verdict in self.verdicts.items() if verdict in verdicts and day >= since), default=None
        )


@dataclass(frozen=True, slots=True)
class ExpectedVerdict:
    """The right verdict on a model; `due_on` is the last day on which it is in time."""

    verdict: str
    fault_on: date | None = None
    knowable_on: date | None = None
    due_on: date | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A criterion, the value that was reached, and whether it passes."""

    name: str
    reached: str
    is_passed: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """Result of a rule for a model; `failed` names the criteria that were missed."""

    rule: str
    days: Mapping[str, int]
    pages_before: int
    pages_after: int
    delay_days: int | None
    late_days: int | None
    failed: Sequence[str] = field(default_factory=tuple)


def judge(story: Story, wanted: ExpectedVerdict) -> Judgement:
    """Judge the verdicts on a model with a known fault."""
    days = dict(Counter(story.verdicts.values()))
    if wanted.verdict == "well":
        pages, quiet = len(story.pages), sum(days.get(verdict, 0) for verdict in QUIET) / max(len(story.verdicts), 1)
        failed = [f"{pages} pages"] * (pages > 0) + [f"quiet on {quiet:.0%} of days"] * (quiet < 0.9)
        return Judgement("driftlake", days, pages, 0, None, None, failed)
    assert wanted.fault_on is not None
    before = [page for page in story.pages if page.on < wanted.fault_on]
    after = [page for page in story.pages if page.on >= wanted.fault_on]
    found_on = story.first([wanted.verdict, "critical"], wanted.fault_on)
    failed = [f"{len(before)} false pages before"] * bool(before) + [f"{len(after)} pages, not one"] * (len(after) != 1)
    failed += [f"pages for {page.kind}" for page in after[:1] if page.kind not in (KIND_OF[wanted.verdict], "critical")]
    if found_on is None:
        failed.append(f"never {wanted.verdict}")
    elif wanted.due_on is not None and found_on > wanted.due_on:
        failed.append(f"{(found_on - wanted.due_on).days} days late")
    return Judgement(
        "driftlake",
        days,
        len(before),
        len(after),
        _days(found_on, wanted.fault_on),
        _days(found_on, wanted.knowable_on),
        failed,
    )


def judge_rule(rule: str, first_day: date, is_flagged: Sequence[bool], wanted: ExpectedVerdict) -> Judgement:
    """Judge a rule that flags days: runs of days are its pages."""
    starts = [first_day + timedelta(days=start) for start, _ in runs(is_flagged)]
    fault_on = wanted.fault_on if wanted.verdict != "well" else None
    flagged = [first_day + timedelta(days=place) for place in np.flatnonzero(is_flagged).tolist()]
    before = sum(fault_on is None or start < fault_on for start in starts)
    found_on = min((day for day in flagged if fault_on is not None and day >= fault_on), default=None)
    failed = [f"{before} false pages"] * bool(before)
    if fault_on is not None:
        if found_on is None:
            failed.append("never")
        elif wanted.due_on is not None and found_on > wanted.due_on:
            failed.append(f"{(found_on - wanted.due_on).days} days late")
    delays = _days(found_on, fault_on), _days(found_on, wanted.knowable_on)
    return Judgement(rule, {"flagged": len(flagged)}, before, len(starts) - before, *delays, failed)


def _days(until: date | None, since: date | None) -> int | None:
    return (until - since).days if until is not None and since is not None else None


# --- the warehouse ---


def stories(warehouse: Warehouse) -> dict[str, Story]:
    """Verdicts and pages by model; an incident of several models pages for each model with a critical alert in it."""
    queries = (_VERDICTS, _PAGES) if _has_table(warehouse, "model_verdicts") else (_SEVERITIES, _CRITICAL)
    verdict_rows, page_rows = (warehouse.sql(query).to_pylist() for query in queries)
    verdicts: dict[str, dict[date, str]] = {}
    for row in verdict_rows:
        verdicts.setdefault(row["model_id"], {})[row["dt"]] = row["verdict"]
    pages: dict[str, list[Page]] = {}
    for row in page_rows:
        page = Page(row["on_day"], row["kind"], row["cause"], row["title"], row["opened_on"])
        pages.setdefault(row["model_id"], []).append(page)
    return {model: Story(verdicts.get(model, {}), pages.get(model, ())) for model in {**verdicts, **pages}}


def _has_table(warehouse: Warehouse, name: str) -> bool:
    return bool(warehouse.sql("from duckdb_tables() where table_name = ?", [name]).num_rows)


_VERDICTS = """
    select model_id, dt, verdict from model_verdicts where deployment = 'production' order by dt, model_version
"""
_PAGES = """
    select
        coalesce(a.model_id, '') as model_id,
        min(i.dt) as on_day,
        arg_min(i.kind, i.dt) as kind,
        arg_min(i.cause, i.dt) as cause,
        arg_min(i.title, i.dt) as title,
        min(i.opened_on) as opened_on
    from incidents as i
    inner join (
        select distinct incident_id, dt, model_id from alerts where severity = 'critical' and state <> 'resolved'
    ) as a on i.incident_id = a.incident_id and i.dt = a.dt
    where i.pages
    group by coalesce(a.model_id, ''), i.incident_id
    order by on_day, i.incident_id
"""
# in a warehouse from before there were verdicts, every critical alert pages
_SEVERITIES = """
    select
        p.model_id,
        p.dt,
        case max(a.severity = 'critical') when true then 'critical' when false then 'watch' else 'well' end as verdict
    from (select distinct model_id, dt from prediction_profile where deployment = 'production') as p
    left join (from alerts where state <> 'resolved') as a on p.model_id = a.model_id and p.dt = a.dt
    group by p.model_id, p.dt
    order by p.model_id, p.dt
"""
_CRITICAL = _PAGES.replace("where i.pages", "where i.severity = 'critical'").replace(
    "arg_min(i.kind, i.dt)", "'critical'"
)


@dataclass(frozen=True, slots=True)
class Series:
    """A metric of each day by all labels, as a loss against the baseline or unchanged, and the day it was known."""

    values: Floats
    known_on: np.ndarray[Any, np.dtype[np.int64]]
    # added to the values to make them losses
    sign: int
    tolerance: float


def realised(warehouse: Warehouse, model_id: str, days: Sequence[date]) -> Series:
    """Daily AUC, macro AUC of classes or mean absolute error; a day is known when half of its labels have come."""
    counts = _cohorts(warehouse, "label_cohorts", model_id)
    known_on = _known_on(warehouse, model_id, days)
    if counts is None:
        rows = warehouse.sql(
            "select prediction_on, sum(absolute_error_sum) / sum(number_count) as error from label_cohorts"
            " where model_id = ? and segment = 'all' and deployment = 'production' group by prediction_on",
            [model_id],
        ).to_pylist()
        errors = {row["prediction_on"]: row["error"] for row in rows}
        if any(error is not None for error in errors.values()):
            values = np.array([errors.get(day) or np.nan for day in days], dtype=float)
            usual = float(np.nanmean(values[:REFERENCE_DAYS]))
            return Series(values, known_on, 1, ERROR_TOLERANCE_SHARE * usual)
        counts = _cohorts(warehouse, "class_score_cohorts", model_id)
    values = np.full(len(days), np.nan)
    if counts is not None:
        for place, day in enumerate(days):
            if day in counts:
                values[place] = np.mean([auc(positives, negatives) for positives, negatives in counts[day]])
    return Series(values, known_on, -1, AUC_TOLERANCE)


def _cohorts(warehouse: Warehouse, table: str, model_id: str) -> dict[date, list[tuple[Floats, Floats]]] | None:
    """Positives and negatives per score bin, prediction day and class; None without positives or without negatives."""
    scored_class = "scored_class" if table == "class_score_cohorts" else "''"
    rows = warehouse.sql(
        f"select prediction_on, {scored_class} as scored_class, list(positive_count order by place) as positives,"
        " list(negative_count order by place) as negatives from ("
        f" select prediction_on, {scored_class} as scored_class, if(bin_id = 2, 2147483647, bin_id) as place,"
        " sum(positive_count)::double as positive_count, sum(negative_count)::double as negative_count"
        f" from {table} where model_id = ? and segment = 'all' and deployment = 'production' and bin_id <> 0"
        " group by all having sum(positive_count) + sum(negative_count) > 0)"
        " group by all order by all",
        [model_id],
    ).to_pylist()
    counts: dict[date, list[tuple[Floats, Floats]]] = {}
    for row in rows:
        counts.setdefault(row["prediction_on"], []).append((np.array(row["positives"]), np.array(row["negatives"])))
    return counts or None


def _known_on(warehouse: Warehouse, model_id: str, days: Sequence[date]) -> np.ndarray[Any, np.dtype[np.int64]]:
    rows = warehouse.sql(
        "select prediction_on, min(dt) as known_on from ("
        " select prediction_on, dt, sum(labels) over (partition by prediction_on order by dt) as so_far,"
        " sum(labels) over (partition by prediction_on) as in_all from ("
        " select prediction_on, dt, sum(positive_count + negative_count + coalesce(number_count, 0)) as labels"
        " from label_cohorts where model_id = ? and segment = 'all' and deployment = 'production' group by all))"
        " where so_far >= in_all / 2 group by prediction_on",
        [model_id],
    ).to_pylist()
    known = {row["prediction_on"]: (row["known_on"] - days[0]).days for row in rows}
    return np.array([known.get(day, len(days) + 1) for day in days])


def estimated(warehouse: Warehouse, model_id: str, days: Sequence[date]) -> Floats:
    """The AUC estimated from scores, by day."""
    rows = warehouse.sql(
        "select dt, value from model_quality where model_id = ? and statistic = 'estimated_auc' and window_days = 1"
        " and segment = 'all' and deployment = 'production' and value is not null",
        [model_id],
    ).to_pylist()
    values = {row["dt"]: row["value"] for row in rows}
    return np.array([values.get(day, np.nan) for day in days])


def far_days(warehouse: Warehouse, model_id: str) -> set[date]:
    """Days on which the PSI of some feature over seven days is over 0.25 against training."""
    rows = warehouse.sql(
        "select distinct dt from feature_drift where model_id = ? and statistic = 'psi' and window_days = 7"
        " and reference = 'training' and segment = 'all' and deployment = 'production' and value > 0.25",
        [model_id],
    ).to_pylist()
    return {row["dt"] for row in rows}


def usual_rules(warehouse: Warehouse, model_id: str, days: Sequence[date], series: Series) -> dict[str, list[bool]]:
    """The days that common rules flag; a realised value flags the day on which it became known."""
    far, late = far_days(warehouse, model_id), np.zeros(len(days), dtype=bool)
    for place in np.flatnonzero(beyond_three_deviations(series.values, REFERENCE_DAYS)):
        if series.known_on[place] < len(days):
            late[series.known_on[place]] = True
    before_labels = beyond_three_deviations(estimated(warehouse, model_id, days), REFERENCE_DAYS)
    return {
        "PSI > 0.25": [day in far for day in days],
        "3 sd, realised": late.tolist(),
        "3 sd, estimated": before_labels.tolist(),
    }


# --- models with known faults ---

# accepted coverage of 95 % intervals
_COVERED = 0.9


def judge_scenarios(warehouse: Warehouse, folder: Path, days: Sequence[date]) -> dict[str, list[Judgement]]:
    """Judgements of driftlake and of the common rules, by model."""
    by_model = stories(warehouse)
    judged = {}
    for model_id, what in yaml.safe_load((folder / "scenarios.yaml").read_text()).items():
        series = realised(warehouse, model_id, days)
        wanted, story = _expected_verdict(what, series, days), by_model.get(model_id, Story({}, ()))
        rules = usual_rules(warehouse, model_id, days, series)
        judged[model_id] = [
            judge(story, wanted),
            *(judge_rule(rule, days[0], flags, wanted) for rule, flags in rules.items()),
        ]
        _print_story(model_id, wanted, story, judged[model_id])
    for bar in class_coverage(warehouse, "classes_calm") if "classes_calm" in judged else ():
        print(f"  {'pass' if bar.is_passed else 'FAIL'}  {bar.name:<50} {bar.reached}")
    _print_story("(several models)", ExpectedVerdict("well"), by_model.get("", Story({}, ())), [])
    return judged


def _class_counts(warehouse: Warehouse, model_id: str) -> tuple[Any, Floats, Floats]:
    """Days; positives and negatives of shape (days, classes, 2, bins); right and all decisions of each class, shape (days, classes, 2)."""
    rows = warehouse.sql(
        "select prediction_on, scored_class, if(bin_id = 2, 2147483647, bin_id) as place,"
        " sum(positive_count)::double as positives, sum(negative_count)::double as negatives,"
        " sum(right_count)::double as hits, sum(right_count + wrong_count)::double as decided"
        " from class_score_cohorts where model_id = ? and segment = 'all' and deployment = 'production' and bin_id <> 0"
        " group by all",
        [model_id],
    ).to_pydict()
    (days, day), (classes, of_class), (places, place) = (
        np.unique(np.array(rows[name]), return_inverse=True) for name in ("prediction_on", "scored_class", "place")
    )
    counts, decisions = np.zeros((len(days), len(classes), 2, len(places))), np.zeros((len(days), len(classes), 2))
    for side, name in enumerate(("positives", "negatives")):
        np.add.at(counts[:, :, side], (day, of_class, place), rows[name])
    for side, name in enumerate(("hits", "decided")):
        np.add.at(decisions[:, :, side], (day, of_class), rows[name])
    return days.astype("datetime64[D]"), counts, decisions


def class_coverage(warehouse: Warehouse, model_id: str) -> Iterator[Bar]:
    """Share of the values by all labels inside the intervals of `performance`, of a model of several classes."""
    days, counts, decisions = _class_counts(warehouse, model_id)
    rows = warehouse.sql(
        "from performance where model_id = ? and deployment = 'production' and confidence_low is not null", [model_id]
    ).to_pylist()
    inside: dict[tuple[str, str], list[bool]] = {}
    for row in rows:
        age = (np.datetime64(row["dt"]) - days).astype(int)
        window = (age >= 0) & (age < row["window_days"])
        if row["statistic"] == "auc":
            value = float(np.mean([auc(*sides) for sides in counts[window].sum(axis=0)]))
        elif row["statistic"] == "accuracy":
            value = float(np.divide(*decisions[window].sum(axis=(0, 1))))
        else:
            hits, decided = decisions[window].sum(axis=0).T
            value = float(np.mean(2 * hits / (decided + counts[window, :, 0].sum(axis=(0, 2)))))
        is_inside = row["confidence_low"] <= value <= row["confidence_high"]
        inside.setdefault((row["statistic"], row["basis"]), []).append(is_inside)
    for (statistic, basis), flags in sorted(inside.items()):
        reached = float(np.mean(flags))
        yield Bar(f"coverage, {model_id}, {basis} {statistic}", f"{reached:.1%} of {len(flags)}", reached >= _COVERED)


def _expected_verdict(what: Mapping[str, Any], series: Series, days: Sequence[date]) -> ExpectedVerdict:
    fault_on, known_by = what["fault_on"], what.get("known_by")
    if known_by is None:
        return ExpectedVerdict("well", fault_on)
    knowable_on: date | None = fault_on
    if known_by == "promise":
        knowable_on = fault_on + timedelta(days=what["promised_days"])
    elif known_by in ("labels", "scores"):
        place = (fault_on - days[0]).days
        losses = series.sign * (series.values - np.nanmean(series.values[:place]))
        known_on = series.known_on if known_by == "labels" else np.arange(len(days))
        first = first_knowable(losses, known_on, place, series.tolerance)
        knowable_on = None if first is None else days[0] + timedelta(days=first)
    due_on = knowable_on and knowable_on + timedelta(days=WITHIN_DAYS[known_by])
    return ExpectedVerdict(what["expected"], fault_on, knowable_on, due_on)


def _print_story(name: str, wanted: ExpectedVerdict, story: Story, judged: Sequence[Judgement]) -> None:
    knowable = "" if wanted.knowable_on is None else f", could be known on {wanted.knowable_on}"
    print(f"\n{name}: {wanted.verdict}" + (f", fault on {wanted.fault_on}{knowable}" if wanted.fault_on else ""))
    for each in judged:
        shown = " ".join(
            f"{verdict} {each.days[verdict]}" for verdict in (*VERDICTS, "flagged") if each.days.get(verdict)
        )
        delay = "" if each.delay_days is None else f"delay {each.delay_days:>2} (since knowable {each.late_days})"
        print(
            f"  {each.rule:<16}{'FAIL' if each.failed else 'pass'}  {shown:<48} pages {each.pages_before:>2}"
            f" + {each.pages_after:>2}  {delay:<28} {'; '.join(each.failed)}"
        )
    for page in story.pages[:8]:
        print(f"      {page.on} {page.kind:<7} {page.cause:<18} {page.title[:150]}")


def summary(judged: Mapping[str, Sequence[Judgement]], scenarios: Mapping[str, Any]) -> Iterator[str]:
    """A line per rule over all models."""
    for place, rule in enumerate(each.rule for each in next(iter(judged.values()))):
        quiet = [each[place] for name, each in judged.items() if scenarios[name]["expected"] == "well"]
        faulty = [each[place] for name, each in judged.items() if scenarios[name]["expected"] != "well"]
        delays = [each.delay_days for each in faulty if each.delay_days is not None]
        yield (
            f"{rule:<16} pages of well models {sum(each.pages_before for each in quiet):>3}, before faults"
            f" {sum(each.pages_before for each in faulty):>3}; faults found {len(delays)} of {len(faulty)}, median delay"
            f" {np.median(delays) if delays else float('nan'):.0f} days; models passed"
            f" {sum(not each.failed for each in quiet)} of {len(quiet)} and {sum(not each.failed for each in faulty)} of {len(faulty)}"
        )


# --- the flights ---

_FLIGHTS = "flight_delay"
_WEATHER_ENDS_ON = date(2013, 12, 31)
_CALM_MONTHS = (3, 7, 8, 9)
# with fewer days there is no useful interval
_SMALLEST_DAYS = 5


def auc_with_all_labels(warehouse: Warehouse, days: Sequence[date]) -> dict[date, tuple[Interval, float]]:
    """The 28-day AUC by all labels of the version in production, and its baseline, of each day with enough days."""
    rows = warehouse.sql(
        "select c.prediction_on, c.model_version, if(bin_id = 2, 2147483647, bin_id) as place,"
        " sum(positive_count)::double as positives, sum(negative_count)::double as negatives,"
        " any_value(baseline_auc) as baseline"
        " from label_cohorts as c inner join training_runs as t"
        " on c.model_id = t.model_id and c.model_version = t.model_version"
        " where c.model_id = ? and segment = 'all' and deployment = 'production' and bin_id <> 0 group by all",
        [_FLIGHTS],
    ).to_pylist()
    places = {place: column for column, place in enumerate(sorted({row["place"] for row in rows}))}
    counts = np.zeros((len(days), len(places), 2))
    versions: dict[date, tuple[str, float]] = {}
    for row in rows:
        place = (row["prediction_on"] - days[0]).days
        counts[place, places[row["place"]]] += row["positives"], row["negatives"]
        versions[row["prediction_on"]] = row["model_version"], row["baseline"]
    found = {}
    for place, day in enumerate(days):
        window = [
            each
            for each in range(max(place - 27, 0), place + 1)
            if versions.get(days[each], ("",))[0] == versions.get(day, (None,))[0]
        ]
        if len(window) >= _SMALLEST_DAYS:
            found[day] = clustered_auc(counts[window, :, 0], counts[window, :, 1]), versions[day][1]
    return found


def share(hits: int, of: int) -> float:
    """A share; 1 if the total is zero."""
    return hits / of if of else 1.0


def found_within(days: Sequence[date], found: set[date], within_days: int) -> int:
    """Number of days that have a day of `found` on them or within some days after."""
    return sum(any(day + timedelta(days=later) in found for later in range(within_days + 1)) for day in days)


def flight_bars(story: Story, truth: Mapping[date, tuple[Interval, float]]) -> Iterator[Bar]:
    """The criteria for the flights under the default rules."""
    sure = [day for day, (now, baseline) in truth.items() if now.high < baseline - AUC_TOLERANCE]
    below = {day for day, (now, baseline) in truth.items() if now.value < baseline - AUC_TOLERANCE}
    called = [day for day, verdict in story.verdicts.items() if verdict in ("harmed", "critical")]
    found = {day for day, verdict in story.verdicts.items() if verdict in ("harmed", "broken", "critical")}
    caught = found_within(sure, found, 14)
    yield Bar("surely harmed days found within 14 days", f"{caught} of {len(sure)}", share(caught, len(sure)) >= 0.8)
    right = sum(day in below for day in called)
    right_share = share(right, len(called))
    yield Bar("days called harmed that are below", f"{right} of {len(called)} ({len(below)} below)", right_share >= 0.8)
    yield Bar("incidents that page in ten months", str(len(story.pages)), len(story.pages) <= 8)
    calm = [page for page in story.pages if page.kind in ("harm", "critical") and page.on.month in _CALM_MONTHS]
    yield Bar(
        "pages for harm in March, July to September", ", ".join(str(page.on) for page in calm) or "none", not calm
    )
    at_the_end = story.verdicts.get(_WEATHER_ENDS_ON, "none")
    yield Bar("verdict on the day the weather ends", at_the_end, at_the_end == "broken")


def coverage_bars(warehouse: Warehouse) -> Iterator[Bar]:
    """Share of realised values inside the 95 % intervals of estimates, by statistic and window."""
    rows = warehouse.sql(
        "select statistic, window_days, avg(is_inside_interval::double) as inside, count(*) as days from estimate_history"
        " where segment = 'all' and deployment = 'production' and is_inside_interval is not null group by all order by all"
    ).to_pylist()
    for row in rows:
        yield Bar(
            f"coverage, {row['statistic']}, {row['window_days']} days",
            f"{row['inside']:.1%} of {row['days']}",
            0.9 <= row["inside"] <= 0.98,
        )


def performance_coverage(warehouse: Warehouse, days: Sequence[date]) -> Iterator[Bar]:
    """Share of the values by all labels inside the intervals of `performance`, by statistic and basis.

    Only the estimated basis has a criterion: most days of the others are labelled, so their values are nearly the
    realised ones.
    """
    sums = _flight_sums(warehouse, days)
    aucs = {day: now.value for day, (now, _) in auc_with_all_labels(warehouse, days).items()}
    inside: dict[tuple[str, str], list[bool]] = {}
    rows = warehouse.sql(
        "from performance where model_id = ? and deployment = 'production' and confidence_low is not null", [_FLIGHTS]
    ).to_pylist()
    for row in rows:
        value: float | None = aucs.get(row["dt"])
        if row["statistic"] != "auc":
            place = (row["dt"] - days[0]).days
            of_window = sums.get((row["model_version"], row["statistic"]), np.zeros((len(days), 2)))
            total, count = of_window[max(place - row["window_days"] + 1, 0) : place + 1].sum(axis=0)
            value = total / count if count else None
        if value is not None:
            is_inside = row["confidence_low"] <= value <= row["confidence_high"]
            inside.setdefault((row["statistic"], row["basis"]), []).append(is_inside)
    for (statistic, basis), flags in sorted(inside.items()):
        reached = float(np.mean(flags))
        is_passed = basis != "estimated" or 0.9 <= reached <= 0.98
        yield Bar(f"coverage, performance, {basis} {statistic}", f"{reached:.1%} of {len(flags)}", is_passed)


def _flight_sums(warehouse: Warehouse, days: Sequence[date]) -> dict[tuple[str, str], Floats]:
    """Sums and label counts of each day by version and statistic, of all labels."""
    rows = warehouse.sql(
        "select prediction_on, model_version, sum(positive_count + negative_count)::double as labels,"
        " sum(log_loss_sum) as log_loss, sum(squared_error_sum) as brier_score,"
        " sum(true_positive_count + negative_count - false_positive_count)::double as accuracy from label_cohorts"
        " where model_id = ? and segment = 'all' and deployment = 'production' and bin_id <> 0 group by all",
        [_FLIGHTS],
    ).to_pylist()
    sums: dict[tuple[str, str], Floats] = {}
    for row in rows:
        for statistic in ("log_loss", "brier_score", "accuracy"):
            of_days = sums.setdefault((row["model_version"], statistic), np.zeros((len(days), 2)))
            of_days[(row["prediction_on"] - days[0]).days] = row[statistic], row["labels"]
    return sums


def judge_flights(warehouse: Warehouse, days: Sequence[date]) -> list[Bar]:
    """Every criterion, and the results of the common rules."""
    by_model = stories(warehouse)
    story = by_model.get(_FLIGHTS, Story({}, ()))
    story = Story(
        story.verdicts, sorted([*story.pages, *by_model.get("", Story({}, ())).pages], key=lambda page: page.on)
    )
    truth = auc_with_all_labels(warehouse, days)
    bars = [*flight_bars(story, truth), *coverage_bars(warehouse)]
    if _has_table(warehouse, "performance"):
        bars += performance_coverage(warehouse, days)
    print("flights: " + " ".join(f"{verdict} {count}" for verdict, count in Counter(story.verdicts.values()).items()))
    for bar in bars:
        print(f"  {'pass' if bar.is_passed else 'FAIL'}  {bar.name:<50} {bar.reached}")
    for page in story.pages:
        print(f"      {page.on} {page.kind:<7} {page.cause:<18} {page.title[:150]}")
    for rule, flags in usual_rules(warehouse, _FLIGHTS, days, realised(warehouse, _FLIGHTS, days)).items():
        flagged = {day for day, is_flagged in zip(days, flags, strict=True) if is_flagged}
        usual = list(flight_bars(Story(dict.fromkeys(flagged, "harmed"), ()), truth))[:2]
        print(f"  {rule:<16} flags {len(flagged)} days; " + "; ".join(f"{bar.name}: {bar.reached}" for bar in usual))
    return bars


def main() -> None:
    """Judge every folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="+")
    results: dict[str, Any] = {}
    for folder in parser.parse_args().folder:
        started = time.perf_counter()
        settings = load_settings(folder / "driftlake.yaml")
        assert settings.end is not None
        days = days_between(settings.start, settings.end)
        with Warehouse.open(settings, read_only=True) as warehouse:
            if (folder / "scenarios.yaml").exists():
                judged = judge_scenarios(warehouse, folder, days)
                print("\n" + "\n".join(summary(judged, yaml.safe_load((folder / "scenarios.yaml").read_text()))))
                results[folder.name] = {name: [asdict(each) for each in rules] for name, rules in judged.items()}
            else:
                results[folder.name] = judge_flights(warehouse, days)
        print(f"judged in {time.perf_counter() - started:.1f} s")
    print(save("decisions", results))


if __name__ == "__main__":
    main()
