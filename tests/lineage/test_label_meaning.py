"""What labels and scores mean: the declared positive label, the check of the target, and scores that look different."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data import day
from hypothesis import given as drawn
from hypothesis import strategies as st
from project import ROWS, Project

from driftlake.errors import ConfigurationError, InputError, LineageConflictError
from driftlake.lake import queries
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.label_meaning import label_text
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.maths.binning import probability_bins
from driftlake.maths.score_meaning import score_problem
from driftlake.training.registration import complete

TRAINED = 2000


def labelled(
    root: Path,
    negative: Any,
    positive: Any,
    *,
    labels: Mapping[str, Any] | None = None,
    lineage: Mapping[str, Any] | None = None,
) -> Project:
    """A project whose labels, in training and on day 2 about day 1, follow the scores: positive above one half."""
    generator = np.random.default_rng(3)
    scores = generator.random(TRAINED)
    project = Project(
        root,
        training={"score": scores, "target": [positive if score > 0.5 else negative for score in scores]},
        lineage={"target": "target", "features": ["x", "colour"]} | dict(lineage or {}),
        labels={"path": "labels"} | dict(labels or {}),
    )
    served = generator.random(ROWS)
    project.telemetry(1, score=served)
    project.telemetry(2)
    project.labels(2, 1, label=pa.array([positive if score > 0.5 else negative for score in served]))
    return project


def counted(project: Project) -> tuple[int, int]:
    """Positives and negatives, and that each is on its side of one half."""
    project.run(1, 2, until="label_cohorts")
    rows = project.rows("select bin_id, positive_count, negative_count from label_cohorts where segment = 'all'")
    assert all(not (negative if bin_id >= 203 else positive) for bin_id, positive, negative in rows)
    return sum(row[1] for row in rows), sum(row[2] for row in rows)


@pytest.mark.parametrize(
    ("negative", "positive", "declared"),
    [
        (-1, 1, 1),
        (1, 2, 2),
        (Decimal(-1), Decimal(1), 1),
        (-1.0, 1.0, "1"),
        ("good", "bad", "bad"),
        ("no", "yes", True),
        ("False", "True", True),
        (True, False, False),
        ("0", "1", None),
    ],
)
def test_the_declared_label_is_positive_in_training_and_production(
    tmp_path: Path, negative: Any, positive: Any, declared: Any
) -> None:
    project = labelled(tmp_path / "p", negative, positive, labels={"positive": declared})
    assert sum(counted(project)) == ROWS
    [(positives, negatives)] = project.rows(
        "select sum(positive_count), sum(negative_count) from reference_label_profile"
    )
    assert positives + negatives == TRAINED
    assert min(positives, negatives) > 0


def test_the_lineage_goes_before_the_configuration(tmp_path: Path) -> None:
    project = labelled(tmp_path / "p", "a", "b", labels={"positive": "a"}, lineage={"labels": {"positive": "b"}})
    assert sum(counted(project)) == ROWS


@pytest.mark.parametrize(
    ("target", "labels", "expected"),
    [
        ([-1, 1], {}, "-1 .* expected 0 and 1"),
        (["good", "bad"], {}, "expected 0 and 1"),
        ([0.2, 0.7, 1.5], {}, "expected 0 and 1"),
        (["good", "bad"], {"positive": "Bad"}, "none of them the positive label Bad"),
        (["good", "bad", "open"], {"positive": "bad"}, "more than bad and one other"),
        (["good", "bad", "open"], {"positive": "bad", "negative": "good"}, "expected bad and good"),
    ],
)
def test_a_target_of_other_values_is_refused(
    tmp_path: Path, target: list[Any], labels: dict[str, Any], expected: str
) -> None:
    values = (target * TRAINED)[:TRAINED]
    with pytest.raises(InputError, match=expected):
        Project(
            tmp_path / "p",
            training={"target": values},
            lineage={"target": "target", "features": ["x"]},
            labels={"path": "labels"} | labels,
        )


def test_a_third_label_is_refused_and_reported(tmp_path: Path) -> None:
    project = labelled(tmp_path / "p", "good", "bad", labels={"positive": "bad"})
    project.labels(2, 1, label=["open"] * 10 + ["bad"] * (ROWS - 10))
    project.run(1, 2, until="label_cohorts", is_checked=True)
    reported = project.rows(
        "select message from contract_checks where expectation = 'label_is_countable' and outcome = 'failed'"
    )
    assert len(reported) == 1
    assert "open in 10 of 300" in reported[0][0]
    [(count,)] = project.rows("select sum(positive_count + negative_count) from label_cohorts where segment = 'all'")
    assert count == ROWS - 10


def test_a_registered_version_keeps_its_positive_label(tmp_path: Path) -> None:
    project = labelled(tmp_path / "p", -1, 1, labels={"positive": 1})
    project.configure(labels={"path": "labels", "positive": -1})
    with pytest.raises(LineageConflictError, match="registered with the positive label 1, now it is -1"):
        project.register("v2")


@pytest.mark.parametrize("labels", [{"negative": 0}, {"positive": 1, "negative": True}])
def test_a_pair_of_labels_is_two_labels_with_the_positive_one(tmp_path: Path, labels: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Project(tmp_path / "p", labels={"path": "labels"} | labels)


@drawn(
    st.one_of(
        st.integers(-5, 5), st.booleans(), st.sampled_from([1.0, -1.0, 0.5, "Yes", "off", "1.00", "good", "True"])
    )
)
def test_python_and_sql_write_a_label_alike(value: Any) -> None:
    with duckdb.connect() as db:
        db.execute(queries.statement("macros/label_text"))
        [(text,)] = db.execute("select label_text(?::varchar)", [value]).fetchall()
    assert text == label_text(value)


def binned(scores: np.ndarray, is_positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bins = probability_bins("score")
    ids = bins.bin_ids(scores)
    positives, negatives = (np.bincount(ids[mask], minlength=bins.bin_count) for mask in (is_positive, ~is_positive))
    return positives, negatives


@pytest.mark.parametrize("count", [250, 5000])
def test_what_scores_look_like(count: int) -> None:
    generator = np.random.default_rng(5)
    probability = generator.beta(1.2, 1.5, count)
    is_positive = generator.random(count) < probability
    seen = {
        "sound": probability,
        "reversed": 1 - probability,
        "confidence": np.maximum(probability, 1 - probability),
        "overconfident": probability**0.5,
    }
    found = {
        name: score_problem(*binned(scores, is_positive), scores.sum(), is_probability=True)
        for name, scores in seen.items()
    }
    assert found == {"sound": None, "reversed": "reversed", "confidence": "confidence", "overconfident": None}


def test_always_high_probabilities_are_not_confidences_if_labels_are_as_often_positive() -> None:
    generator = np.random.default_rng(5)
    probability = generator.uniform(0.6, 1, 5000)
    is_positive = generator.random(5000) < probability
    assert score_problem(*binned(probability, is_positive), probability.sum(), is_probability=True) is None


def test_a_night_reports_scores_that_rank_the_wrong_way_round(tmp_path: Path) -> None:
    project = labelled(tmp_path / "p", 0, 1)
    telemetry = project.root / "telemetry" / f"dt={day(1)}" / "part-0.parquet"
    served = duckdb.sql(f"select score from '{telemetry}'").fetchnumpy()["score"]
    project.labels(2, 1, label=(served < 0.5).astype(int))
    project.run(1, 2, until="label_cohorts", is_checked=True)
    reported = project.rows(
        "select expectation, message from contract_checks where source = 'labels' and column_name = 'score'"
        " and outcome = 'failed'"
    )
    assert [name for name, _ in reported] == ["score_ranks_the_positive_label_higher"]
    assert "labels.positive" in reported[0][1]


def test_a_percentage_is_counted_as_the_probability_that_it_is(tmp_path: Path) -> None:
    # of these a hundredfold is exact, too
    scores = np.arange(TRAINED) % 127 / 128
    training = {"score": scores, "target": np.arange(TRAINED) % 3 % 2, "region": np.tile(["n", "s"], TRAINED // 2)}
    project = Project(
        tmp_path / "project",
        training=training,
        lineage={"target": "target", "features": ["x", "colour"]},
        telemetry={"path": "telemetry", "segments": ["region"]},
    )
    percent = pq.read_table(project.root / "training.parquet").set_column(2, "score", pa.array(scores * 100))
    pq.write_table(percent, project.root / "percent.parquet")
    project.register("v2", training_data="../percent.parquet", training_dataset_id="data-2", score_kind="percent")
    served = np.arange(ROWS) % 127 / 128
    for version, factor in (("v1", 1), ("v2", 100)):
        deployment = ["production" if version == "v1" else "shadow"] * ROWS
        rows = {"model_version": [version] * ROWS, "deployment": deployment, "score": served * factor}
        project.telemetry(1, name=version, region=["n", "s"] * (ROWS // 2), **rows)
    project.labels(2, 1, label=np.arange(ROWS) % 2)
    with Warehouse.open(project.settings) as warehouse:
        complete(warehouse, project.settings, read_lineage_folder(project.settings))
    project.run(1, 2, until="model_quality", is_checked=True)
    for table in (
        "prediction_profile",
        "label_cohorts",
        "prediction_levels",
        "reference_profile",
        "reference_label_profile",
        "segment_reference_profile",
    ):
        probability, percentage = (
            project.rows(
                f"select columns(c -> c not in ('model_version', 'deployment')) from {table} where model_version = ? order by all",
                version,
            )
            for version in ("v1", "v2")
        )
        assert repr(percentage) == repr(probability), table
        assert probability, table
    assert project.rows("select distinct max(abs(difference)) from shadow_differences group by all") == [(0.0,)]
    assert not project.rows("from contract_checks where outcome = 'failed' and column_name = 'score'")
