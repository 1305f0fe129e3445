"""Labels: which of them count, which predictions they meet, and the counts against a plain recount in Python."""

from __future__ import annotations

import math
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from data import MODEL, Row, day, model_version, noon, write_day
from effort import examples
from hypothesis import example
from hypothesis import given as drawn
from hypothesis import settings as effort
from hypothesis import strategies as st
from label_relations import given_labels, given_predictions, judged, paired

from driftlake.config import LabelSettings, LineageSettings, Settings, TelemetrySettings
from driftlake.inputs.columns import LABEL_COLUMNS, TELEMETRY_COLUMNS
from driftlake.inputs.partitions import chunks, days_between, read_partitions
from driftlake.lake import queries
from driftlake.lake.schema import arrow_schema
from driftlake.nightly.label_source import EARLY_LABEL_DAYS, LabelSource, history_days

# Four cells of one half each, which merge into the bins 3 (0 to 1) and 4 (1 to 2).
VALUE: Row = {
    "task": "binary",
    "score_kind": "value",
    "grid_transform": "linear",
    "grid_scale": 1.0,
    "grid_lower": 0.0,
    "grid_upper": 2.0,
    "grid_cells": 4,
}


# --- which labels count ---


def test_the_first_arrival_of_a_label_counts(db: duckdb.DuckDBPyConnection) -> None:
    given_labels(db, (3, "a", 1), (2, "a", 1))
    assert judged(db) == [(True, False, False), (True, True, False)]


def test_a_later_label_with_another_value_is_a_conflict(db: duckdb.DuckDBPyConnection) -> None:
    given_labels(db, (1, "a", 1), (2, "a", 0))
    assert judged(db)[1] == (True, True, True)


def test_a_conflict_is_one_with_the_first_arrival(db: duckdb.DuckDBPyConnection) -> None:
    given_labels(db, (1, "a", 1), (2, "a", 0), (3, "a", 1), (4, "a", 0))
    assert [is_conflict for _, _, is_conflict in judged(db)] == [False, True, False, True]


@pytest.mark.parametrize(("key", "label"), [(None, 1), ("a", None), ("a", 2), ("a", math.nan)])
def test_a_label_without_id_or_of_another_value_is_invalid(
    db: duckdb.DuckDBPyConnection, key: str | None, label: float | None
) -> None:
    given_labels(db, (1, key, label))
    assert judged(db) == [(False, False, False)]


def test_a_valid_label_after_an_invalid_one_is_not_a_duplicate(db: duckdb.DuckDBPyConnection) -> None:
    given_labels(db, (1, "a", None), (2, "a", 1))
    assert judged(db)[1] == (True, False, False)


def test_a_repetition_beyond_the_memory_is_a_new_label(db: duckdb.DuckDBPyConnection) -> None:
    given_labels(db, (1, "a", 1), (11, "b", 1), (12, "a", 0), (21, "b", 0))
    assert [is_duplicate for _, is_duplicate, _ in judged(db, lookback_days=10)] == [False, False, False, True]


def test_a_label_repeats_one_that_arrived_before_the_span(db: duckdb.DuckDBPyConnection) -> None:
    given_labels(db, (1, "a", 1), (9, "a", 0), first_day=9)
    assert judged(db, first_day=9) == [(True, False, False), (True, True, True)]


def test_only_earlier_labels_that_matter_for_the_span_are_remembered(
    db: duckdb.DuckDBPyConnection,
) -> None:
    given_predictions(db, {"dt": day(9), "correlation_id": "early"}, first_day=9)
    given_labels(db, (1, "again", 1), (8, "early", 1), (8, "other", 1), (9, "again", 1), first_day=9)
    judged(db, first_day=9)
    assert db.execute("select correlation_id from earlier_matching_labels order by all").fetchall() == [
        ("again",),
        ("early",),
    ]


# --- which predictions they meet ---


def test_a_pair_is_known_when_its_label_arrives(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {})
    given_labels(db, (4, "a", 1))
    assert paired(db) == [(day(4), 0, day(4))]


def test_a_pair_is_known_when_its_prediction_comes_after_the_label(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"dt": day(4)})
    given_labels(db, (1, "a", 1))
    assert paired(db) == [(day(4), 0, day(1))]


def test_a_label_before_the_span_is_joined_to_its_prediction_in_it(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"dt": day(4)}, first_day=4)
    given_labels(db, (1, "a", 1), (2, "a", 1), first_day=4)
    assert paired(db, first_day=4) == [(day(4), 0, day(1))]


def test_a_label_that_was_joined_before_the_span_is_not_joined_in_it(
    db: duckdb.DuckDBPyConnection,
) -> None:
    given_predictions(db, {}, {"dt": day(4)}, first_day=4)
    given_labels(db, (2, "a", 1), first_day=4)
    assert paired(db, first_day=4) == []


def test_a_label_of_a_daily_id_is_about_the_nearest_earlier_day(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, *({"dt": day(number)} for number in (1, 3, 5)))
    given_labels(db, (4, "a", 1))
    paired(db)
    assert db.execute("select prediction_on, is_ambiguous from label_pairs").fetchall() == [(day(3), True)]
    days = {"first_day": day(1), "last_day": day(9)}
    assert queries.run(db, "labels/ambiguous_labels", **days).fetchall() == [(day(4), 1)]


def test_a_label_without_an_earlier_prediction_is_about_the_next_day(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"dt": day(6)}, {"dt": day(5)})
    given_labels(db, (4, "a", 1))
    paired(db)
    assert db.execute("select prediction_on, is_ambiguous from label_pairs").fetchall() == [(day(5), False)]


def test_labels_of_one_id_that_name_their_days_are_about_as_many_predictions(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, *({"dt": day(number)} for number in (1, 2, 3)))
    given_labels(db, (4, "a", 1, day(1)), (5, "a", 0, day(2)), (6, "a", 0, day(3)), (7, "a", 1, day(3)))
    paired(db)
    counted = db.execute("select prediction_on, label from label_pairs where weight = 1 order by all").fetchall()
    assert counted == [(day(1), 1), (day(2), 0), (day(3), 0)]
    assert judged(db) == [(True, False, False)] * 3 + [(True, True, True)]


def test_a_label_that_names_no_day_may_repeat_one_that_does(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, {"dt": day(2)})
    given_labels(db, (3, "a", 1, day(2)), (4, "a", 1))
    assert paired(db) == [(day(3), 0, day(3))]


def test_a_label_is_joined_on_the_last_day_of_the_horizon_and_not_after(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, {"correlation_id": "b"})
    given_labels(db, (11, "a", 1), (12, "b", 1))
    assert paired(db, horizon_days=10) == [(day(11), 0, day(11))]


def test_a_label_may_be_a_week_early_and_not_more(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"dt": day(8)}, {"dt": day(9), "correlation_id": "b"})
    given_labels(db, (1, "a", 1), (1, "b", 1))
    assert paired(db) == [(day(8), 0, day(1))]


def test_an_id_scored_by_two_versions_makes_two_pairs(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, {"model_version": "v2"})
    given_labels(db, (2, "a", 1))
    assert paired(db) == [(day(2), 0, day(2)), (day(2), 1, day(2))]


def test_predictions_of_an_unknown_version_get_no_labels(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"model_version": "v9"})
    given_labels(db, (2, "a", 1))
    assert paired(db) == []


def test_a_prediction_delivered_twice_is_labelled_once(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"event_time": noon(1), "score": 0.7}, {"event_time": noon(0), "score": 0.8})
    given_labels(db, (2, "a", 1))
    paired(db)
    assert db.execute("select score from label_pairs").fetchall() == [(0.8,)]


def test_duplicate_and_invalid_labels_make_no_pairs(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, {"correlation_id": "b"})
    given_labels(db, (2, "a", 1), (3, "a", 1), (2, "b", None))
    assert paired(db) == [(day(2), 0, day(2))]


def test_a_label_that_names_a_day_is_joined_to_that_day_only(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, {"dt": day(2)}, {"dt": day(2), "correlation_id": "b"})
    given_labels(db, (4, "a", 1, day(2)), (4, "b", 1, day(1)))
    paired(db)
    assert db.execute("select prediction_on from label_pairs").fetchall() == [(day(2),)]


# --- which days of predictions are read ---


def needed(db: duckdb.DuckDBPyConnection, first_day: int = 1) -> list[date]:
    """Prediction days that the labels ask for; a prediction may be three days old."""
    judged(db, first_day=first_day)
    reach = {"first_day": day(first_day), "horizon_days": 3, "early_days": EARLY_LABEL_DAYS, "is_latest": False}
    return [asked for (asked,) in queries.run(db, "labels/needed_days", **reach).fetchall()]


def test_labels_need_the_days_they_name(db: duckdb.DuckDBPyConnection) -> None:
    given_labels(db, (9, "a", 1, day(7)), (9, "b", 1, day(9)), (9, "c", 1, day(7)))
    assert needed(db) == [day(7), day(9)]


def test_a_label_that_names_no_day_needs_every_possible_day(db: duckdb.DuckDBPyConnection) -> None:
    given_labels(db, (9, "a", 1, day(7)), (9, "b", 1))
    assert needed(db) == days_between(day(6), day(16))


def test_labels_out_of_reach_invalid_or_repeated_need_no_days(db: duckdb.DuckDBPyConnection) -> None:
    given_labels(db, (9, "a", 1, day(5)), (9, "b", 1, day(17)), (9, "c", 7), (9, "d", 1, day(8)), (9, "d", 1))
    assert needed(db) == [day(8)]


def test_a_label_before_the_span_needs_the_days_that_decide_its_prediction(
    db: duckdb.DuckDBPyConnection,
) -> None:
    given_predictions(db, {"dt": day(9)}, first_day=9)
    given_labels(db, (8, "a", 1), first_day=9)
    assert needed(db, first_day=9) == days_between(day(5), day(15))


def test_a_label_before_the_span_that_names_its_day_needs_no_other(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"dt": day(9)}, first_day=9)
    given_labels(db, (8, "a", 1, day(9)), first_day=9)
    assert needed(db, first_day=9) == [day(9)]


# --- what is counted ---


def rows_of(db: duckdb.DuckDBPyConnection, name: str, *columns: str, **values: Any) -> list[Any]:
    """Result of sql/labels/<name>.sql: tuples of `columns`, or values if it is one column."""
    result = queries.run(db, f"labels/{name}", **values).to_arrow_table()
    listed = zip(*(result[column].to_pylist() for column in columns), strict=True)
    return [row if len(columns) > 1 else row[0] for row in listed]


def cohorts(db: duckdb.DuckDBPyConnection, *columns: str, last_day: int = 30) -> list[Any]:
    paired(db)
    sums = queries.run(db, "labels/label_sums", first_day=day(1), last_day=day(last_day)).to_arrow_table()
    db.register("label_sums", sums)
    return rows_of(db, "label_cohorts", *columns)


def test_cohorts_count_labels_by_day_known_and_day_predicted(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, {"correlation_id": "b"}, {"correlation_id": "c", "dt": day(2)})
    given_labels(db, (2, "a", 1), (2, "b", 0), (3, "c", 0))
    counted = cohorts(db, "dt", "prediction_on", "positive_count", "negative_count")
    assert counted == [(day(2), day(1), 1, 1), (day(3), day(2), 0, 1)]


def test_cohorts_count_a_label_in_the_segments_of_its_prediction_too(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"segments": ["country=at"]}, {"correlation_id": "b", "segments": ["country=rare"]})
    given_labels(db, (2, "a", 1), (2, "b", 0))
    assert sorted(cohorts(db, "segment", "positive_count", "negative_count")) == [
        ("all", 1, 1),
        ("country=(other)", 0, 1),
        ("country=at", 1, 0),
    ]


def test_cohorts_leave_out_what_became_known_after_the_last_day(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, {"correlation_id": "b"})
    given_labels(db, (2, "a", 1), (3, "b", 1))
    assert cohorts(db, "dt", last_day=2) == [day(2)]


def test_cohorts_sum_scores_losses_and_squared_errors(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"score": 0.81}, {"correlation_id": "b", "score": 0.8101})
    given_labels(db, (2, "a", 1), (2, "b", 0))
    [sums] = cohorts(db, "score_sum", "log_loss_sum", "squared_error_sum")
    assert sums == pytest.approx((1.6201, -math.log(0.81) - math.log(0.1899), 0.19**2 + 0.8101**2))


def test_cohorts_count_the_labels_at_the_decision_cut(db: duckdb.DuckDBPyConnection) -> None:
    scores = {"a": 0.5, "b": 0.9, "c": 0.5, "d": 0.4999, "e": None}
    given_predictions(db, *({"correlation_id": name, "score": score} for name, score in scores.items()))
    given_labels(db, (2, "a", 1), (2, "b", 1), (2, "c", 0), (2, "d", 0), (2, "e", 1))
    counted = cohorts(db, "true_positive_count", "false_positive_count")
    assert [sum(column) for column in zip(*counted, strict=True)] == [2, 1]


def test_a_regression_counts_numbers_and_sums_its_errors(db: duckdb.DuckDBPyConnection) -> None:
    version = VALUE | {"task": "regression", "quantile": 0.9}
    given_predictions(db, {"score": 1.0}, {"correlation_id": "b", "score": 1.5}, version=version)
    given_labels(db, (2, "a", 3.0), (2, "b", 1.0))
    sums = cohorts(db, "number_count", "error_sum", "absolute_error_sum", "squared_error_sum", "quantile_loss_sum")
    # 2 too low costs 0.9 each, 0.5 too high 0.1 each
    assert sums == [(2, -1.5, 2.5, 4.25, pytest.approx(1.85))]


def test_a_number_is_not_a_label_of_a_binary_model(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, {"model_version": "v2"})
    db.execute("update versions set task = 'regression' where model_version = 'v2'")
    given_labels(db, (2, "a", 7.0))
    assert cohorts(db, "model_version", "number_count") == [("v2", 1)]


def test_a_certain_and_wrong_prediction_has_a_finite_loss(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"score": 0.0})
    given_labels(db, (2, "a", 1))
    assert cohorts(db, "log_loss_sum") == [pytest.approx(-math.log(1e-15))]


def test_a_label_of_a_prediction_without_score_adds_nothing_to_the_sums(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"score": None})
    given_labels(db, (2, "a", 1))
    [(bin_id, positives, *sums)] = cohorts(
        db, "bin_id", "positive_count", "score_sum", "log_loss_sum", "squared_error_sum"
    )
    assert (bin_id, positives, [total or 0 for total in sums]) == (0, 1, [0, 0, 0])


def test_scores_that_are_not_probabilities_have_no_losses(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"score": 7.0}, version=VALUE)
    given_labels(db, (2, "a", 1))
    assert cohorts(db, "log_loss_sum", "squared_error_sum") == [(None, None)]


@pytest.mark.parametrize(
    ("score", "bin_id"),
    [(None, 0), (-0.1, 1), (0.0, 3), (0.9, 3), (1.0, 4), (1.9, 4), (2.0, 2), (1e20, 2), (math.nan, 0)],
)
def test_a_labelled_score_has_the_bin_of_its_cell(
    db: duckdb.DuckDBPyConnection, score: float | None, bin_id: int
) -> None:
    given_predictions(db, {"score": score}, version=VALUE)
    given_labels(db, (2, "a", 1))
    assert cohorts(db, "bin_id") == [bin_id]


def test_a_labelled_score_without_bins_counts_as_missing(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"score": 0.5}, version={"score_kind": "value", "task": "binary"})
    given_labels(db, (2, "a", 1))
    assert cohorts(db, "bin_id") == [0]


def test_a_missing_deployment_is_production(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {})
    given_labels(db, (2, "a", 1))
    assert cohorts(db, "deployment") == ["production"]


def test_arrivals_count_how_each_label_was_used(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, {"model_version": "v2"}, {"correlation_id": "early", "dt": day(3)})
    given_labels(db, (2, "a", 1), (2, "a", 0), (2, "b", None), (2, "unknown", 1), (2, "early", 1))
    paired(db)
    counts = ("label_count", "invalid_count", "duplicate_count", "conflict_count", "matched_count", "unmatched_count")
    assert rows_of(db, "label_arrivals", *counts, first_day=day(2), last_day=day(2)) == [(5, 1, 1, 1, 1, 2)]


# --- any labels and predictions, beside a plain recount ---

HORIZON_DAYS = 3
LOOKBACK_DAYS = HORIZON_DAYS + EARLY_LABEL_DAYS
LAST_DAY = 2 * LOOKBACK_DAYS
# Bins of the probability grid; quarters add up without rounding.
BINS = {None: 0, 0.25: 181, 0.75: 224}


@dataclass(frozen=True)
class Label:
    arrival: int
    correlation_id: str | None
    label: float | None
    hour: int | None
    prediction_on: int | None
    row: int = 0

    @property
    def is_valid(self) -> bool:
        return self.correlation_id is not None and self.label in (0, 1)

    @property
    def order(self) -> tuple[int, int, int]:
        return self.arrival, 24 if self.hour is None else self.hour, self.row


@dataclass(frozen=True)
class Prediction:
    predicted: int
    correlation_id: str | None
    version: str
    hour: int
    score: float | None
    row: int = 0


# An example is one count of files, however many ids are in them, and ids have nothing to do with each other.
IDS = st.sampled_from([*(f"{name}{place}" for place in range(8) for name in "aab"), None, None])
DAYS = st.integers(1, LAST_DAY)
SOME_LABELS = st.lists(
    st.builds(
        Label,
        arrival=DAYS,
        correlation_id=IDS,
        label=st.sampled_from([0.0, 0.0, 1.0, 1.0, 2.0, None]),
        hour=st.sampled_from([None, 1, 2]),
        prediction_on=st.none() | DAYS,
    ),
    min_size=20,
    max_size=70,
)
SOME_PREDICTIONS = st.lists(
    st.builds(
        Prediction,
        predicted=DAYS,
        correlation_id=IDS,
        version=st.sampled_from(["v1", "v2", "unknown"]),
        hour=st.sampled_from([1, 2]),
        score=st.sampled_from(list(BINS)),
    ),
    min_size=20,
    max_size=70,
)
# A day or a few, some, or all of them.
ROWS_AT_ONCE = st.sampled_from([4, 15, 30, 100])
# Whoever never says the prediction day has no such column.
SOME_FILES_OF_LABELS = SOME_LABELS | SOME_LABELS.map(lambda labels: [replace(x, prediction_on=None) for x in labels])


def first_labels(labels: Sequence[Label]) -> tuple[list[Label], list[Label], list[Label]]:
    """Labels that count, that repeat an earlier one, and that contradict the first of these."""
    first, repeated, contradicting = [], [], []
    for label in labels:
        before = [
            other
            for other in labels
            if other.is_valid
            and other.correlation_id == label.correlation_id
            and other.order < label.order
            and label.arrival - other.arrival <= LOOKBACK_DAYS
        ]
        so_far = [
            other
            for other in labels
            if other.is_valid
            and other.correlation_id == label.correlation_id
            and 0 <= label.arrival - other.arrival <= LOOKBACK_DAYS
        ]
        if all(other.prediction_on for other in so_far):
            before = [other for other in before if other.prediction_on == label.prediction_on]
        if label.is_valid and not before:
            first.append(label)
        elif label.is_valid:
            repeated.append(label)
            if min(before, key=lambda other: other.order).label != label.label:
                contradicting.append(label)
    return first, repeated, contradicting


def pairs_of(first: Sequence[Label], predictions: Sequence[Prediction]) -> list[tuple[Label, Prediction]]:
    """First labels with the nearest prediction, an earlier one if there is any, each in its first delivery."""
    met: dict[Any, tuple[Label, Prediction]] = {}
    for label in first:

        def distance(p: Prediction, arrival: int = label.arrival) -> tuple[bool, int, int, int]:
            return p.predicted > arrival, abs(arrival - p.predicted), p.hour, p.row

        for prediction in sorted(predictions, key=distance):
            if (
                prediction.version != "unknown"
                and label.correlation_id == prediction.correlation_id
                and label.prediction_on in (None, prediction.predicted)
                and -EARLY_LABEL_DAYS <= label.arrival - prediction.predicted <= HORIZON_DAYS
            ):
                met.setdefault((prediction.version, label.row), (label, prediction))
    return list(met.values())


def recounted(labels: Sequence[Label], predictions: Sequence[Prediction]) -> tuple[set[Any], set[Any]]:
    """Rows of label_cohorts (dt, prediction_on, version, bin, positives, negatives, sum of scores), of label_arrivals."""
    first, repeated, contradicting = first_labels(labels)
    pairs = pairs_of(first, predictions)
    cohorts: dict[Any, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for label, prediction in pairs:
        known = max(label.arrival, prediction.predicted)
        counts = cohorts[day(known), day(prediction.predicted), prediction.version, BINS[prediction.score]]
        counts[0 if label.label else 1] += 1
        counts[2] += prediction.score or 0
    matched = {label for label, prediction in pairs if prediction.predicted <= label.arrival}
    arrivals = set()
    for arrival in {label.arrival for label in labels}:
        of_day = {label for label in labels if label.arrival == arrival}
        groups = [repeated, contradicting, matched, set(first) - matched]
        invalid = sum(not label.is_valid for label in of_day)
        arrivals.add((day(arrival), len(of_day), invalid, *(len(of_day & set(group)) for group in groups)))
    return {(*key, *counts) for key, counts in cohorts.items()}, arrivals


def write_inputs(root: Path, labels: Iterable[Label], predictions: Iterable[Prediction]) -> Settings:
    """Parquet partitions of labels and predictions."""
    for name in ("labels", "telemetry"):
        (root / name).mkdir()
    for number in range(1, LAST_DAY + 1):
        arrived = [label for label in labels if label.arrival == number]
        if arrived:
            columns = {
                "correlation_id": pa.array([x.correlation_id for x in arrived], pa.string()),
                "label": pa.array([x.label for x in arrived], pa.float64()),
                "label_time": pa.array([at(number, x.hour) for x in arrived], pa.timestamp("us")),
                "prediction_on": pa.array([x.prediction_on and day(x.prediction_on) for x in arrived], pa.date32()),
            }
            # files without prediction days have no such column
            if not any(x.prediction_on for x in arrived):
                del columns["prediction_on"]
            write_day(root / "labels", number, columns)
        predicted = [prediction for prediction in predictions if prediction.predicted == number]
        if predicted:
            columns = {
                "correlation_id": pa.array([x.correlation_id for x in predicted], pa.string()),
                "event_time": pa.array([at(number, x.hour) for x in predicted], pa.timestamp("us")),
                "model_id": pa.array(["credit"] * len(predicted)),
                "model_version": pa.array([x.version for x in predicted]),
                "score": pa.array([x.score for x in predicted], pa.float64()),
            }
            write_day(root / "telemetry", number, columns)
    return Settings(
        telemetry=TelemetrySettings(path=str(root / "telemetry")),
        labels=LabelSettings(path=str(root / "labels"), horizon_days=HORIZON_DAYS),
        lineage=LineageSettings(path=str(root)),
        start=day(1),
    )


def at(number: int, hour: int | None) -> datetime | None:
    return None if hour is None else noon(number) + timedelta(hours=hour)


def label_source(settings: Settings) -> LabelSource:
    """Everything that `write_inputs` wrote, and two versions."""
    assert settings.labels
    span = days_between(day(1) - timedelta(days=history_days(settings.labels)), day(LAST_DAY))
    labels = read_partitions(settings.labels.path, span, LABEL_COLUMNS, {})
    telemetry = read_partitions(settings.telemetry.path, span, TELEMETRY_COLUMNS, {})
    versions = [model_version(), replace(model_version(), model_version="v2")]
    of_days = {label.dt: label for label in labels}
    no_segments = pa.table(
        {
            "dt": pa.array([], pa.date32()),
            **{name: pa.array([], pa.string()) for name in (*MODEL, "deployment", "segment")},
        }
    )
    no_rates = arrow_schema("sampling_rates").empty_table().drop_columns(["prediction_count", "sampled_count"])
    return LabelSource(
        settings=settings,
        label_settings=settings.labels,
        labels=of_days,
        telemetry=telemetry,
        versions=versions,
        contracts=None,
        segments=no_segments,
        sampling_rates=no_rates,
    )


def numbered(rows: Sequence[Any]) -> list[Any]:
    return [replace(row, row=number) for number, row in enumerate(rows)]


# the first label is about the day it arrived on, although the second one is about a day that the first could be early for
AN_EARLIER_DAY_HAS_THE_FIRST_LABEL = (
    [
        Label(arrival=10, correlation_id="a", label=0.0, hour=None, prediction_on=None, row=0),
        Label(arrival=19, correlation_id="a", label=1.0, hour=None, prediction_on=None, row=1),
    ],
    [
        Prediction(predicted=17, correlation_id="a", version="v2", hour=2, score=0.75, row=0),
        Prediction(predicted=10, correlation_id="a", version="v2", hour=1, score=None, row=1),
    ],
)


@effort(max_examples=examples(8))
@example([], [], 1)
@example(*AN_EARLIER_DAY_HAS_THE_FIRST_LABEL, 1)
@drawn(SOME_FILES_OF_LABELS.map(numbered), SOME_PREDICTIONS.map(numbered), ROWS_AT_ONCE)
def test_counts_are_those_of_a_plain_recount_whatever_days_are_counted_at_once(
    labels: list[Label], predictions: list[Prediction], rows_per_chunk: int
) -> None:
    cohorts, arrivals = recounted(labels, predictions)
    with tempfile.TemporaryDirectory() as folder:
        source = label_source(write_inputs(Path(folder), labels, predictions))
        of_days = [source.labels[each] for each in days_between(day(1), day(LAST_DAY))]
        tables = [source.count(chunk)[1].tables for chunk in chunks(of_days, rows_per_chunk)]
    found = [row for table in tables for row in table["label_cohorts"].to_pylist()]
    names = ("dt", "prediction_on", "model_version", "bin_id", "positive_count", "negative_count", "score_sum")
    assert {tuple(row[name] for name in names) for row in found} == cohorts
    assert {tuple(row.values()) for table in tables for row in table["label_arrivals"].to_pylist()} == arrivals
    conflicts = [row for table in tables for row in table["label_conflicts"].to_pylist()]
    assert counted_conflicts(conflicts) == contradictions(labels, predictions, is_latest=False)


# --- corrections ---


def labels_of_predictions(
    labels: Sequence[Label], predictions: Sequence[Prediction]
) -> list[tuple[Prediction, list[Label]]]:
    """Every labelled prediction with all of its labels in the order of arrival."""
    about: dict[Any, tuple[Prediction, list[Label]]] = {}
    for label, prediction in pairs_of([label for label in labels if label.is_valid], predictions):
        key = prediction.predicted, prediction.version, prediction.correlation_id
        about.setdefault(key, (prediction, []))[1].append(label)
    return [(prediction, sorted(of_it, key=lambda label: label.order)) for prediction, of_it in about.values()]


def contradictions(labels: Sequence[Label], predictions: Sequence[Prediction], *, is_latest: bool) -> Counter[Any]:
    """Rows of label_conflicts: (dt, prediction_on, version, before, after) and how many."""
    first, *_ = first_labels(labels)
    found: Counter[Any] = Counter()
    for prediction, of_it in labels_of_predictions(labels, predictions):
        for number, label in enumerate(of_it[1:]):
            before = of_it[number] if is_latest else of_it[0]
            if label.label != before.label and (is_latest or before in first):
                known = day(max(label.arrival, prediction.predicted))
                said = (str(int(before.label or 0)), str(int(label.label or 0)))
                found[known, day(prediction.predicted), prediction.version, *said] += 1
    return found


def counted_conflicts(rows: Sequence[Row]) -> Counter[Any]:
    key = ("dt", "prediction_on", "model_version", "label_before", "label_after")
    return Counter({tuple(row[name] for name in key): row["conflict_count"] for row in rows})


def newest_counts(labels: Sequence[Label], predictions: Sequence[Prediction], last: int) -> dict[Any, list[float]]:
    """By (prediction day, version, bin): positives, negatives and sum of scores with only the newest labels."""
    counts: dict[Any, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for prediction, of_it in labels_of_predictions(labels, predictions):
        arrived = [label for label in of_it if max(label.arrival, prediction.predicted) <= last]
        if arrived:
            of_bin = counts[day(prediction.predicted), prediction.version, BINS[prediction.score]]
            of_bin[0 if arrived[-1].label else 1] += 1
            of_bin[2] += prediction.score or 0
    return dict(counts)


def summed(rows: Sequence[Row], last: int) -> dict[Any, list[float]]:
    sums: dict[Any, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for row in rows:
        if row["dt"] <= day(last):
            of_bin = sums[row["prediction_on"], row["model_version"], row["bin_id"]]
            for place, name in enumerate(("positive_count", "negative_count", "score_sum")):
                of_bin[place] += row[name]
    return dict(sums)


@effort(max_examples=examples(8))
@example([], [], 1)
@drawn(SOME_FILES_OF_LABELS.map(numbered), SOME_PREDICTIONS.map(numbered), ROWS_AT_ONCE)
def test_latest_labels_sum_up_at_the_end_of_every_day_to_a_count_of_the_newest_alone(
    labels: list[Label], predictions: list[Prediction], rows_per_chunk: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = write_inputs(Path(folder), labels, predictions)
        assert settings.labels
        latest = settings.labels.model_copy(update={"corrections": "latest"})
        source = label_source(settings.model_copy(update={"labels": latest}))
        of_days = [source.labels[each] for each in days_between(day(1), day(LAST_DAY))]
        tables = [source.count(chunk)[1].tables for chunk in chunks(of_days, rows_per_chunk)]
    cohorts = [row for table in tables for row in table["label_cohorts"].to_pylist()]
    for last in range(1, LAST_DAY + 1):
        assert summed(cohorts, last) == newest_counts(labels, predictions, last)
    conflicts = [row for table in tables for row in table["label_conflicts"].to_pylist()]
    assert counted_conflicts(conflicts) == contradictions(labels, predictions, is_latest=True)


def test_an_exact_repetition_of_a_label_is_not_a_conflict(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {})
    given_labels(db, (2, "a", 1), (2, "a", 1), (3, "a", 1), (4, "a", 0))
    paired(db)
    found = rows_of(
        db, "label_conflicts", "dt", "label_before", "label_after", "conflict_count", first_day=day(1), last_day=day(9)
    )
    assert found == [(day(4), "1", "0", 1)]
