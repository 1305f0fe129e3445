"""Multiclass models: labels are classes, and their counts give the quality of predicted classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import quality_measurement
from class_predictions import CLASSES, LINEAGE, SCORES, Predictions
from data import GROUP, MODEL, day, insert, model_version, write_day
from hypothesis import assume
from hypothesis import given as drawn
from hypothesis import strategies as st
from label_relations import PROBABILITY, given_labels, given_predictions, paired
from project import ROWS, Project, outcomes
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from driftlake.lake import queries, schema
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import LineageRecord
from driftlake.maths.confusion import macro_auc, macro_f1
from driftlake.maths.ranking import auc
from driftlake.maths.recalibration import probabilities_of_classes
from driftlake.profiles.class_scores import ClassScoreAccumulator
from driftlake.profiles.kernel import Grouping
from driftlake.profiles.label_join import cohorts_of

COHORT = GROUP | {"dt": day(1), "prediction_on": day(1)}

# --- formulas, beside scikit-learn ---

labelled = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@drawn(labelled)
def test_macro_f1_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(pairs).T
    counts = [np.bincount(values, minlength=4) for values in (labels[labels == predicted], predicted, labels)]
    assert macro_f1(*counts) == pytest.approx(f1_score(labels, predicted, average="macro"))


@drawn(st.integers(0, 2**32 - 1), st.integers(30, 200))
def test_macro_auc_is_that_of_scikit_learn(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, count)
    assume(len(set(labels.tolist())) == 3)
    # scores in bins of their own: nothing is hidden by binning
    scores = generator.dirichlet(np.ones(3), count)
    measured = macro_auc([binned_auc(scores[:, k], labels == k) for k in range(3)], np.ones(3, dtype=bool))
    assert measured.value == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr", average="macro"))


def test_the_example_of_the_page() -> None:
    # hits, predictions and labels of bus, car and tram
    assert macro_f1(np.array([1, 1, 1]), np.array([1, 2, 1]), np.array([2, 1, 1])) == pytest.approx(0.778, abs=5e-4)


def binned_auc(scores: np.ndarray, is_positive: np.ndarray) -> Any:
    _, bins = np.unique(scores, return_inverse=True)
    size = bins.max() + 1
    return auc(np.bincount(bins[is_positive], minlength=size), np.bincount(bins[~is_positive], minlength=size))


def test_classes_that_do_not_count_are_left_out_of_the_macro_auc() -> None:
    perfect, random = auc(np.array([0, 5]), np.array([5, 0])), auc(np.array([5, 5]), np.array([5, 5]))
    assert macro_auc([perfect, random], np.array([True, False])).value == 1
    assert np.isnan(macro_auc([perfect, random], np.array([False, False])).value)


def test_the_interval_of_the_macro_auc_has_at_least_its_nominal_coverage() -> None:
    generator = np.random.default_rng(11)
    truth = np.mean([drawn_auc(generator, 20_000).value for _ in range(5)])
    intervals = [drawn_auc(generator, 200) for _ in range(300)]
    held = np.mean([interval.confidence_low <= truth <= interval.confidence_high for interval in intervals])
    assert held >= 0.93


def drawn_auc(generator: np.random.Generator, count: int) -> Any:
    """Macro AUC of three classes whose scores share rows, each a softmax of a noisy hint at the label."""
    labels = generator.integers(0, 3, count)
    hints = np.exp(generator.normal(size=(count, 3)) + 1.2 * np.eye(3)[labels])
    scores = hints / hints.sum(axis=1, keepdims=True)
    return macro_auc([binned_auc(scores[:, k], labels == k) for k in range(3)], np.ones(3, dtype=bool))


class_labels = st.lists(
    st.tuples(st.lists(st.integers(0, 9), min_size=6, max_size=6), st.lists(st.integers(0, 9), min_size=6, max_size=6)),
    min_size=1,
    max_size=3,
).map(lambda classes: np.array(classes).swapaxes(0, 1))


@drawn(class_labels)
def test_a_class_without_labels_is_like_the_others_by_the_isotonic_regression_of_scikit_learn(
    labels: np.ndarray,
) -> None:
    positives, negatives = np.concatenate([labels, np.zeros((2, 1, 6), np.int64)], axis=1)
    counts = (positives + negatives).sum(axis=0)
    assume(counts.any())
    bins = np.flatnonzero(counts)
    regression = IsotonicRegression(out_of_bounds="clip")
    regression.fit(bins, positives.sum(axis=0)[bins] / counts[bins], sample_weight=counts[bins])
    found = probabilities_of_classes(positives, negatives)
    assert found[-1] == pytest.approx(regression.predict(np.arange(6)))
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize(("label_count", "farthest"), [(20_000, 0.05), (20, 0.2)])
def test_a_class_follows_its_own_labels_as_they_become_many(label_count: int, farthest: float) -> None:
    """Scores of the others mean what they say, those of the last class mean less."""
    generator = np.random.default_rng(1)
    scores = np.linspace(0.05, 0.95, 10)
    meaning = np.stack([scores, scores, scores / 2])
    counts = np.full((3, 10), 20_000)
    counts[2] = label_count // 10
    positives = generator.binomial(counts, meaning)
    found = probabilities_of_classes(positives, counts - positives)
    assert found[:2] == pytest.approx(meaning[:2], abs=0.02)
    alone = np.abs(IsotonicRegression().fit_transform(scores, positives[2] / counts[2]) - meaning[2]).mean()
    error = np.abs(found[2] - meaning[2]).mean()
    assert error < farthest
    # few labels of a class give a better estimate together with those of the others
    assert label_count > 100 or error < alone


# --- lineage ---


def record(**changes: Any) -> LineageRecord:
    given = MODEL | {"training_run_id": "r", "training_dataset_id": "d", "training_data": "t", "task": "multiclass"}
    return LineageRecord(**(given | {"classes": list(CLASSES)} | changes))


def test_classes_that_are_whole_numbers_are_texts() -> None:
    assert record(classes=[0, 1, 2]).classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"classes": None}, "a multiclass model needs its classes"),
        ({"task": "binary"}, "only a multiclass model has classes"),
        ({"classes": ["car"]}, "at least 2"),
        ({"classes": ["car", "bus", "car"]}, "listed twice: car"),
        ({"classes": ["car", "(missing)"]}, "stands for predictions without a class"),
        ({"classes": ["1.0", "2.0"]}, "write the class without decimals"),
        ({"classes": [True, False]}, "valid string"),
    ],
)
def test_classes_belong_to_multiclass_models_and_differ(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        record(**changes)


# --- counts ---

MULTICLASS = PROBABILITY | {"task": "multiclass", "decision_cut": None, "classes": list(CLASSES)}
SPAN = {"first_day": day(1), "last_day": day(30)}
GRID = {"grid_lower": 1 / (1 + np.exp(10)), "grid_upper": 1 / (1 + np.exp(-10)), "grid_cells": 400}


def given_class_labels(db: duckdb.DuckDBPyConnection, *rows: tuple[int, str, str]) -> None:
    """Labels as (arrival day, correlation id, class)."""
    given_labels(db, *((arrival, key, None) for arrival, key, _ in rows))
    for number, (*_, name) in enumerate(rows):
        db.execute("update labels set label_class = ? where file_row_number = ?", [name, number])


def confusions(db: duckdb.DuckDBPyConnection, first_day: int = 1, last_day: int = 30) -> Counter[tuple[Any, ...]]:
    """Rows of class_cohorts as (day known, predicted class, class of the label), segment 'all'."""
    queries.run(db, "labels/class_pairs", first_day=day(first_day), last_day=day(last_day))
    rows = queries.run(db, "labels/class_cohorts").to_arrow_table().to_pylist()
    return Counter({(row["dt"], row["predicted_class"], row["label_class"]): row["row_count"] for row in rows})


def test_a_label_that_is_not_a_class_is_invalid(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, version=MULTICLASS)
    given_class_labels(db, (2, "a", "plane"))
    paired(db)
    assert db.execute("select is_valid from label_rows").fetchall() == [(False,)]


def test_the_contract_counts_the_labels_that_are_valid(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, version=MULTICLASS)
    given_class_labels(db, (2, "a", "plane"), (2, "b", "car"))
    queries.run(db, "contract/checked_labels")
    assert db.execute("select label_class, is_countable from checked_labels order by all").fetchall() == [
        ("car", True),
        ("plane", False),
    ]


def test_zero_and_one_are_not_labels_if_every_model_has_classes(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, version=MULTICLASS)
    given_labels(db, (2, "a", 1))
    paired(db)
    assert db.execute("select is_valid from label_rows").fetchall() == [(False,)]


def test_a_later_label_of_another_class_is_a_conflict(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {}, version=MULTICLASS)
    given_class_labels(db, (2, "a", "car"), (3, "a", "car"), (4, "a", "bus"))
    paired(db)
    found = db.execute("select is_duplicate, is_conflict from label_rows order by dt").fetchall()
    assert found == [(False, False), (True, False), (True, True)]


def test_a_prediction_without_a_class_is_counted_as_missing(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"predicted_class": None}, version=MULTICLASS)
    given_class_labels(db, (2, "a", "car"))
    paired(db)
    assert confusions(db) == Counter({(day(2), "(missing)", "car"): 1})


def test_the_labels_of_a_multiclass_model_are_neither_positive_nor_negative(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"score": 0.9}, version=MULTICLASS | {"classes": ["0", "1"]})
    given_class_labels(db, (2, "a", "1"))
    db.execute("update labels set label = 1")
    paired(db)
    [row] = cohorts_of(db, queries.run(db, "labels/label_sums", **SPAN).to_arrow_table()).to_pylist()
    counted = ("positive_count", "negative_count", "number_count", "log_loss_sum", "squared_error_sum")
    assert [row[name] for name in counted] == [0, 0, 1, None, None]


def test_each_class_is_counted_by_its_own_score(db: duckdb.DuckDBPyConnection) -> None:
    scores = {"bus": 0.75, "car": 0.25, "tram": None}
    given_predictions(db, {"class_scores": scores}, version=MULTICLASS)
    given_class_labels(db, (2, "a", "car"))
    paired(db)
    confusions(db)
    rows = queries.run(db, "labels/class_score_cohorts", **GRID).to_arrow_table().to_pylist()
    found = [(row["scored_class"], row["bin_id"], row["positive_count"], row["negative_count"]) for row in rows]
    assert found == [("bus", 224, 0, 1), ("car", 181, 1, 0)]


def test_scores_of_classes_that_another_model_has_are_left_out(db: duckdb.DuckDBPyConnection) -> None:
    given_predictions(db, {"class_scores": {"car": 0.25, "plane": 0.25}}, version=MULTICLASS)
    given_class_labels(db, (2, "a", "car"))
    paired(db)
    confusions(db)
    rows = queries.run(db, "labels/class_score_cohorts", **GRID).to_arrow_table().to_pylist()
    assert [row["scored_class"] for row in rows] == ["car"]


one_score = st.sampled_from([None, 0.25, 0.75])
# Bins of the probability grid.
BINS = {0.25: 181, 0.75: 224}


@dataclass(frozen=True)
class Labelled:
    arrival: int
    predicted: str | None
    label: str
    scores: tuple[float | None, ...]


drawn_labels = st.lists(
    st.builds(
        Labelled,
        arrival=st.integers(1, 6),
        predicted=st.sampled_from((*CLASSES, None)),
        label=st.sampled_from(CLASSES),
        scores=st.tuples(one_score, one_score, one_score),
    ),
    max_size=20,
)


@drawn(drawn_labels, st.integers(1, 6))
def test_counts_of_any_two_spans_add_up_to_those_of_the_whole(rows: list[Labelled], split: int) -> None:
    with duckdb.connect() as db:
        for macro in schema.session_macros():
            db.execute(macro)
        given_labelled(db, rows)
        halves = [counted(db, *span) for span in ((1, split), (split + 1, 6))]
    whole = Counter((day(row.arrival), row.predicted or "(missing)", row.label) for row in rows)
    whole += Counter(
        (day(row.arrival), name, BINS[score], row.label == name)
        for row in rows
        for name, score in zip(CLASSES, row.scores, strict=True)
        if score
    )
    assert halves[0] + halves[1] == whole


@drawn(
    st.lists(
        st.builds(
            Labelled,
            arrival=st.just(1),
            predicted=st.sampled_from((*CLASSES, "plane", None)),
            label=st.sampled_from(CLASSES),
            scores=st.tuples(*[st.none() | st.floats(-0.5, 1.5) | st.sampled_from([np.nan, np.inf, -np.inf])] * 3),
        ),
        max_size=20,
    )
)
def test_predictions_and_their_labels_are_counted_alike(rows: list[Labelled]) -> None:
    with duckdb.connect() as db:
        for macro in schema.session_macros():
            db.execute(macro)
        given_labelled(db, rows)
        confusions(db)
        cohorts = queries.run(db, "labels/class_score_cohorts", **GRID).to_arrow_table().to_pylist()
    scores = ClassScoreAccumulator({name: f"p_{name}" for name in CLASSES}, [1])
    predicted = scores.places(np.arange(len(rows)), [row.predicted for row in rows])
    for place, name in enumerate(CLASSES):
        values = np.array([row.scores[place] for row in rows], float)
        scores.add_values(f"p_{name}", values, predicted, Grouping.single(len(rows)))
    columns = scores.counts()[0].columns()
    names = ("scored_class", "bin_id", "row_count", "predicted_count")
    found = zip(*(columns[name].tolist() for name in names), strict=True)
    assert list(found) == [
        (
            row["scored_class"],
            row["bin_id"],
            row["positive_count"] + row["negative_count"],
            row["right_count"] + row["wrong_count"],
        )
        for row in cohorts
    ]


def given_labelled(db: duckdb.DuckDBPyConnection, rows: list[Labelled]) -> None:
    predictions = [
        {
            "correlation_id": f"p{number}",
            "predicted_class": row.predicted,
            "class_scores": dict(zip(CLASSES, row.scores, strict=True)),
        }
        for number, row in enumerate(rows)
    ]
    given_predictions(db, *predictions, version=MULTICLASS)
    given_class_labels(db, *((row.arrival, f"p{number}", row.label) for number, row in enumerate(rows)))
    paired(db)


def counted(db: duckdb.DuckDBPyConnection, first_day: int, last_day: int) -> Counter[tuple[Any, ...]]:
    """Labels by (day known, predicted class, class) and by (day known, scored class, bin, whether the label is the class)."""
    counts = confusions(db, first_day, last_day)
    for row in queries.run(db, "labels/class_score_cohorts", **GRID).to_arrow_table().to_pylist():
        key = (row["dt"], row["scored_class"], row["bin_id"])
        counts += Counter({(*key, True): row["positive_count"], (*key, False): row["negative_count"]})
    return counts


# --- what the counts say ---

LOW, HIGH = 50, 150


def measured(memory: Warehouse) -> dict[str, dict[str, Any]]:
    """Rows of model_quality of day 1 by statistic."""
    quality_measurement.given_predictions(memory, 1)
    version = replace(model_version(), task="multiclass", classes=CLASSES)
    return {row["statistic"]: row for row in quality_measurement.measured(memory, 1, version=version).to_pylist()}


def given_confusions(memory: Warehouse, *counts: tuple[str, str, int]) -> None:
    """Labels of day 1 as (predicted class, class, number)."""
    names = ("predicted_class", "label_class", "row_count")
    insert(memory.connection, "class_cohorts", [COHORT | dict(zip(names, row, strict=True)) for row in counts])
    cohort = {"bin_id": LOW, "score_sum": 0.0, "positive_count": 0, "negative_count": 0}
    insert(memory.connection, "label_cohorts", [COHORT | cohort | {"number_count": sum(row[2] for row in counts)}])


def given_scores(memory: Warehouse, *counts: tuple[str, int, int, int]) -> None:
    """Labels of day 1 as (class, bin of its score, labels of the class, labels of others)."""
    names = ("scored_class", "bin_id", "positive_count", "negative_count")
    insert(memory.connection, "class_score_cohorts", [COHORT | dict(zip(names, row, strict=True)) for row in counts])


def test_a_class_of_few_labels_is_left_out_of_the_auc_with_a_reason(memory: Warehouse) -> None:
    given_confusions(memory, ("car", "car", 60))
    given_scores(memory, ("bus", HIGH, 20, 0), ("bus", LOW, 0, 21), ("car", HIGH, 20, 21), ("tram", LOW, 1, 40))
    row = measured(memory)["auc"]
    assert (row["value"], row["reason"]) == (0.75, "mean over 2 of 3 classes")


def test_labels_of_one_class_have_no_auc(memory: Warehouse) -> None:
    given_confusions(memory, ("car", "car", 60))
    given_scores(memory, ("bus", HIGH, 0, 60), ("car", HIGH, 60, 0), ("tram", LOW, 0, 60))
    row = measured(memory)["auc"]
    assert (row["value"], row["reason"]) == (None, "labels of one class only")


def test_a_predicted_class_that_the_lineage_lacks_is_a_miss_of_no_class(memory: Warehouse) -> None:
    given_confusions(memory, ("car", "car", 30), ("bus", "bus", 30), ("plane", "bus", 30))
    found = measured(memory)
    assert found["accuracy"]["value"] == pytest.approx(60 / 90)
    # the car without a miss, the bus with 30 of its 60 labels
    assert found["f1_score"]["value"] == pytest.approx((1 + 2 * 30 / (30 + 60)) / 2)


def test_predictions_without_a_class_are_neither_right_nor_wrong(memory: Warehouse) -> None:
    given_confusions(memory, ("car", "car", 30), ("(missing)", "bus", 30))
    assert measured(memory)["accuracy"]["value"] == 1


def test_without_predicted_classes_there_is_no_accuracy_and_a_reason(memory: Warehouse) -> None:
    given_confusions(memory, ("(missing)", "bus", 90))
    row = measured(memory)["accuracy"]
    assert (row["value"], row["reason"]) == (None, "no predicted_class")


# --- nights ---


def new_project(root: Path, **telemetry: Any) -> Project:
    """Days 1 and 2; labels of the first half of each day come on it, those of the second half a day later."""
    project = Project(root, lineage=LINEAGE, telemetry={"path": "telemetry", "class_scores": SCORES} | telemetry)
    for number in (1, 2):
        project.telemetry(number, **Predictions(number).columns(), colour=["red", "blue"] * (ROWS // 2))
        project.labels(number, **labels_of(*((n, slice(*half)) for n, half in arriving(number))))
    return project


def arriving(number: int) -> list[tuple[int, tuple[int, int]]]:
    """Rows that get their labels on a day: (day of the prediction, first and last row)."""
    return [(number, (0, ROWS // 2))] + [(number - 1, (ROWS // 2, ROWS))] * (number > 1)


def labels_of(*rows: tuple[int, slice]) -> dict[str, Any]:
    ids = [f"d{number}-{row}" for number, part in rows for row in range(ROWS)[part]]
    return {"correlation_id": ids, "label": np.concatenate([Predictions(n).labels[part] for n, part in rows])}


def known(on: int) -> tuple[Any, Any, Any]:
    """Labels that have arrived by the end of a day, with the predicted classes and the scores."""
    parts = [(Predictions(n), slice(*half)) for number in range(1, on + 1) for n, half in arriving(number)]
    return tuple(
        np.concatenate([getattr(p, name)[part] for p, part in parts]) for name in ("labels", "predicted", "scores")
    )


def quality_of(project: Project, on: int, segment: str = "all") -> dict[str, dict[str, Any]]:
    names = ("statistic", "value", "confidence_low", "confidence_high", "binning_low", "binning_high", "label_count")
    names += ("baseline_value", "reason")
    rows = project.rows(
        f"select {', '.join(names)} from model_quality where dt = ? and segment = ? and window_days = 7",
        day(on),
        segment,
    )
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(tmp_path_factory.mktemp("classes") / "project", segments=["colour"])
    for number in (1, 2):
        project.run(number, number, until="model_quality")
    return project


@pytest.mark.parametrize("on", [1, 2])
def test_a_night_measures_classes_by_the_labels_known_by_then(project: Project, on: int) -> None:
    labels, predicted, scores = known(on)
    found = quality_of(project, on)
    assert found["accuracy"]["value"] == pytest.approx(accuracy_score(labels, predicted))
    assert found["f1_score"]["value"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    unbinned = roc_auc_score(labels, scores, multi_class="ovr", average="macro")
    assert found["auc"]["binning_low"] <= unbinned <= found["auc"]["binning_high"]
    assert found["auc"]["value"] == pytest.approx(unbinned, abs=0.01)
    assert found["auc"]["label_count"] == len(labels)


def test_only_statistics_of_classes_are_measured(project: Project) -> None:
    assert quality_of(project, 2).keys() == {"auc", "accuracy", "f1_score"}


def test_the_confidence_of_a_multiclass_model_is_its_score(project: Project) -> None:
    found = dict(
        project.rows(
            "select statistic, value from prediction_levels where dt = ? and segment = 'all' and predicted_class is null"
            " and window_days = 7",
            day(1),
        )
    )
    assert found == {"mean_score": pytest.approx(Predictions(1).scores.max(axis=1).mean())}
    assert project.rows("from confidence_histogram") == []


def test_the_macro_auc_has_the_declared_one_as_baseline(project: Project) -> None:
    row = quality_of(project, 2)["auc"]
    assert row["baseline_value"] == 0.95
    assert row["confidence_low"] < row["value"] < row["confidence_high"]


def test_the_auc_with_all_labels_includes_the_labels_that_came_later(project: Project) -> None:
    history = "select auc, all_labels_auc, coverage_share, all_labels_coverage_share from quality_history"
    [(auc, all_labels_auc, share, all_labels_share)] = project.rows(
        f"{history} where dt = ? and segment = 'all' and window_days = 7", day(1)
    )
    predictions = Predictions(1)
    everything = roc_auc_score(predictions.labels, predictions.scores, multi_class="ovr", average="macro")
    assert all_labels_auc == pytest.approx(everything, abs=0.01)
    assert auc != all_labels_auc
    assert (share, all_labels_share) == (0.5, 1.0)


def test_segments_are_measured_too(project: Project) -> None:
    labels, predicted, _ = known(2)
    # red and blue take turns, and so do the labels that are known
    assert quality_of(project, 2, "colour=red")["accuracy"]["value"] == pytest.approx(
        accuracy_score(labels[::2], predicted[::2])
    )


def test_labels_of_classes_leave_no_backlog(project: Project) -> None:
    [(labelled, outstanding)] = project.rows(
        "select labelled_count, outstanding_count from label_backlog"
        " where dt = ? and segment = 'all' and age_bucket = 'all'",
        day(2),
    )
    assert (labelled, outstanding) == (3 * ROWS // 2, ROWS // 2)


def test_a_backfill_counts_classes_as_the_nights_did(project: Project, tmp_path: Path) -> None:
    backfilled = new_project(tmp_path / "project", segments=["colour"])
    backfilled.run(1, 2, until="model_quality")
    tables = ("class_cohorts", "class_score_cohorts", "class_score_profile", "model_quality")
    nights, at_once = project.contents(*tables), backfilled.contents(*tables)
    for table in tables:
        assert nights[table], table
        assert nights[table] == at_once[table], table


def test_without_class_scores_there_is_no_auc_and_a_reason(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project", class_scores=None)
    project.run(1, 2, until="model_quality")
    found = quality_of(project, 2)
    assert (found["auc"]["value"], found["auc"]["reason"]) == (
        None,
        "no scores of the classes: see telemetry.class_scores",
    )
    assert found["accuracy"]["value"] is not None


def test_scores_of_classes_may_be_fields_of_a_struct_column(project: Project, tmp_path: Path) -> None:
    nested = new_project(tmp_path / "project", segments=["colour"], class_scores={"column": "p"})
    for number in (1, 2):
        scores = Predictions(number).scores.tolist()
        structs = pa.array([dict(zip(CLASSES, row, strict=True)) for row in scores])
        changes = {name: None for name in Predictions(number).columns() if name.startswith("p_")}
        columns = Predictions(number).columns() | changes | {"p": structs, "colour": ["red", "blue"] * (ROWS // 2)}
        nested.telemetry(number, **columns)
    nested.run(1, 2, until="label_cohorts")
    tables = ("class_score_cohorts", "class_score_profile")
    assert nested.contents(*tables) == project.contents(*tables)


def test_text_labels_of_classes_and_numbers_of_another_model_share_a_folder(tmp_path: Path) -> None:
    """A binary version beside the multiclass one: each counts the labels that it knows."""
    project = new_project(tmp_path / "project")
    project.register("v2", task="binary", classes=None)
    project.telemetry(2, name="part-1", correlation_id=[f"binary-{n}" for n in range(4)], model_version=["v2"] * 4)
    binary = {"correlation_id": [f"binary-{n}" for n in range(4)], "label": pa.array([True, False, True, True])}
    write_day(project.root / "labels", 2, binary, name="part-1")
    project.run(1, 2, until="label_cohorts")
    assert project.rows(
        "select model_version, sum(positive_count), sum(negative_count), sum(number_count) from label_cohorts"
        " where segment = 'all' group by all order by all"
    ) == [("v1", 0, 0, 3 * ROWS // 2), ("v2", 3, 1, 0)]
    assert project.rows("select sum(invalid_count), sum(conflict_count) from label_arrivals") == [(0, 0)]


def test_text_labels_are_refused_while_no_model_has_them(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    for number, labels in ((1, ["car"] * ROWS), (2, ["1", "0", "false"] * (ROWS // 3)), (3, [True] * ROWS)):
        project.telemetry(number)
        project.labels(number, label=labels)
    report = project.run(1, 3, until="label_cohorts", is_checked=True)[1]
    assert outcomes(report) == {day(1): "refused", day(2): "complete", day(3): "complete"}
    assert "label is car or another value that no model counts in 300 of 300 rows" in (report.runs[0].reason or "")
    counted = "select sum(positive_count), sum(negative_count) from label_cohorts where dt = ? and segment = 'all'"
    assert project.rows(counted, day(2)) == [(ROWS // 3, ROWS * 2 // 3)]


def test_whole_numbers_stored_as_floats_are_classes(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", lineage=LINEAGE | {"classes": [1, 2, 3]})
    project.telemetry(1, predicted_class=[1, 2, 3] * (ROWS // 3))
    project.labels(1, label=pa.array([1.0, 2.0, None] * (ROWS // 3)))
    project.run(1, 1, until="label_cohorts")
    assert project.rows(
        "select predicted_class, label_class, sum(row_count) from class_cohorts group by all order by all"
    ) == [
        ("1", "1", ROWS // 3),
        ("2", "2", ROWS // 3),
    ]


# --- before labels ---

LABEL_DELAY_DAYS, HARDER_FROM, LAST_DAY = 15, 46, 60
# Factor on the logarithms of scores, which makes the scores less certain than they could be.
SHARPER = 1.4


class Calibrated:
    """Predictions of a day whose scores mean the same on every day; from HARDER_FROM on the cases are harder to tell apart."""

    def __init__(self, number: int) -> None:
        generator = np.random.default_rng(number)
        self.scores = generator.dirichlet(np.full(3, 0.4 if number < HARDER_FROM else 1.2), ROWS)
        meant = self.scores**SHARPER
        chosen = generator.random((ROWS, 1)) * meant.sum(axis=1, keepdims=True) > meant.cumsum(axis=1)
        self.predicted = np.array(CLASSES)[self.scores.argmax(axis=1)]
        self.labels = np.array(CLASSES)[chosen.sum(axis=1)]

    def columns(self) -> dict[str, Any]:
        of_classes = {f"p_{name}": self.scores[:, place] for place, name in enumerate(CLASSES)}
        return {"score": self.scores.max(axis=1), "predicted_class": self.predicted} | of_classes


def true_values(days: range) -> dict[str, float]:
    """The values of some days by all of their labels."""
    every = [Calibrated(number) for number in days]
    labels, predicted, scores = (
        np.concatenate([getattr(d, n) for d in every]) for n in ("labels", "predicted", "scores")
    )
    return {
        "accuracy": accuracy_score(labels, predicted),
        "f1_score": f1_score(labels, predicted, average="macro"),
        "auc": roc_auc_score(labels, scores, multi_class="ovr", average="macro"),
    }


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Labels come 15 days after their predictions; harder cases come on the last 15 days, of which there are no labels."""
    baseline = {name: round(value, 3) for name, value in true_values(range(1, HARDER_FROM)).items()}
    project = Project(
        tmp_path_factory.mktemp("late") / "project",
        lineage=LINEAGE | {"baseline": baseline},
        telemetry={"path": "telemetry", "class_scores": SCORES},
    )
    for number in range(1, LAST_DAY + 1):
        project.telemetry(number, **Calibrated(number).columns())
        if number > LABEL_DELAY_DAYS:
            labelled = number - LABEL_DELAY_DAYS
            project.labels(number, labelled, label=Calibrated(labelled).labels)
    project.run(1, LAST_DAY, until="label_cohorts")
    project.run(1, LAST_DAY, since="model_quality", until="model_quality")
    return project


def performance_of(project: Project, on: int) -> dict[tuple[str, str], dict[str, Any]]:
    names = ("statistic", "basis", "value", "confidence_low", "confidence_high", "loss_evidence", "loss_since_on")
    rows = project.rows(f"select {', '.join(names)} from performance where dt = ?", day(on))
    return {row[:2]: dict(zip(names, row, strict=True)) for row in rows}


@pytest.mark.parametrize("statistic", ["auc", "accuracy", "f1_score"])
def test_a_loss_is_found_before_any_of_its_labels(late: Project, statistic: str) -> None:
    before = performance_of(late, HARDER_FROM - 1)[statistic, "combined"]
    assert before["loss_evidence"] < 0.5
    found = performance_of(late, LAST_DAY)[statistic, "combined"]
    assert found["loss_evidence"] >= 1
    assert abs((found["loss_since_on"] - day(HARDER_FROM)).days) <= 2


@pytest.mark.parametrize("statistic", ["auc", "accuracy", "f1_score"])
def test_the_estimate_is_near_the_later_measured_value(late: Project, statistic: str) -> None:
    found = performance_of(late, LAST_DAY)
    truth = true_values(range(LAST_DAY - 27, LAST_DAY + 1))[statistic]
    for basis in ("estimated", "combined"):
        row = found[statistic, basis]
        assert row["value"] == pytest.approx(truth, abs=0.01)
        assert row["confidence_low"] <= truth <= row["confidence_high"]
    assert found[statistic, "realised"]["value"] > truth + 0.02


def test_scores_are_counted_before_labels_as_with_them(project: Project, late: Project) -> None:
    for each, last in ((project, 1), (late, LAST_DAY - LABEL_DELAY_DAYS)):
        by_label = (
            "select prediction_on, scored_class, bin_id, sum(positive_count + negative_count), sum(right_count + wrong_count)"
            " from class_score_cohorts where segment = 'all' and prediction_on <= ? group by all order by all"
        )
        before = "select dt, scored_class, bin_id, row_count, predicted_count from class_score_profile where dt <= ? order by all"
        assert each.rows(before, day(last)) == each.rows(by_label, day(last))
