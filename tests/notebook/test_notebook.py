"""What a notebook calls: frames compared and measured like a night, and the results of a project. Not here: the statistics."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from data import day, feature_columns
from polars.testing import assert_frame_equal
from project import Project, break_pages
from typer.testing import CliRunner

import driftlake
from driftlake.cli import app
from driftlake.errors import ConfigurationError, DriftlakeError, InputError
from driftlake.lake.warehouse import Warehouse
from driftlake.training.samples import Asked, Samples, take_samples

DOCS = Path(__file__).resolve().parents[2] / "docs"
DAYS, ROWS = 9, 300
KEY = ["feature", "statistic"]
FEATURES = ["age", "balance", "amount", "ratio", "channel", "is_member", "children"]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Nine days of a model with features of every kind, whose age shifts, and labels that arrive on the same day."""
    generator = np.random.default_rng(3)
    count = 3000
    training = {
        **feature_columns(count, generator),
        "score": generator.random(count),
        "y": generator.integers(0, 2, count),
    }
    project = Project(
        tmp_path_factory.mktemp("notebook") / "project",
        training=training,
        lineage={"target": "y", "features": FEATURES},
        drift={"windows_days": [1, DAYS]},
        quality={"windows_days": [1, DAYS]},
    )
    for number in range(1, DAYS + 1):
        columns = feature_columns(ROWS, generator)
        columns["age"] = pa.array(np.asarray(columns["age"]) + 4 * number)
        score = generator.random(ROWS)
        project.telemetry(number, **columns, score=score, x=None, colour=None)
        project.labels(number, label=(generator.random(ROWS) < score).astype(int))
    project.run(1, DAYS)
    return project


def telemetry(project: Project) -> pl.DataFrame:
    return pl.read_parquet(project.root / "telemetry" / "*" / "*.parquet", hive_partitioning=True)


def labelled(project: Project) -> pl.DataFrame:
    labels = pl.read_parquet(project.root / "labels" / "*" / "*.parquet", hive_partitioning=False)
    return telemetry(project).join(labels, on="correlation_id", how="left")


def test_a_comparison_has_exactly_the_numbers_of_the_night(night: Project) -> None:
    compared = driftlake.compare(night.root / "training.parquet", telemetry(night), features=FEATURES, score="score")
    stored = driftlake.open(night.settings).drift("credit").filter(window_days=DAYS)
    assert len(stored) == len(compared.frame) > 50
    assert set(compared.frame["outcome"]) >= {"stable", "drift"}
    assert_frame_equal(compared.frame.sort(KEY), stored.select(compared.frame.columns).sort(KEY), check_exact=True)


def test_a_measurement_has_exactly_the_numbers_of_the_night(night: Project) -> None:
    measured = driftlake.performance(
        labelled(night),
        label="label",
        score="score",
        day="dt",
        reference=pl.read_parquet(night.root / "training.parquet").rename({"y": "label"}),
        baseline_auc=0.9,
        config=night.settings,
    )
    stored = driftlake.open(night.settings).quality("credit", since=day(1), until=day(DAYS))
    key = ["dt", "window_days", "statistic"]
    assert set(stored["interval_unit"].drop_nulls()) == {"rows", "days"}
    assert_frame_equal(measured.frame.sort(key), stored.select(measured.frame.columns).sort(key), check_exact=True)


def test_every_library_and_a_path_give_the_same_comparison(night: Project) -> None:
    reference, current = night.root / "training.parquet", telemetry(night).drop("dt")
    # pandas makes floats of whole numbers if some are missing
    asked: dict[str, Any] = {"features": [name for name in FEATURES if name != "children"], "score": "score"}
    expected = driftlake.compare(reference, current, **asked).frame
    learned = pl.read_parquet(reference)
    for left, right in (
        (learned.to_pandas(), current.to_pandas()),
        (learned.to_arrow(), current.to_arrow()),
        (learned.lazy(), current.with_columns(pl.col("channel").cast(pl.Categorical)).lazy()),
        (str(reference), night.root / "telemetry"),
    ):
        assert_frame_equal(driftlake.compare(left, right, **asked).frame, expected, check_exact=True)


def test_columns_that_are_not_features_are_left_out_with_the_reason() -> None:
    generator = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "x": generator.normal(size=300),
            "order_id": range(300),
            "at": [day(1)] * 300,
            "y": generator.integers(0, 2, 300),
        }
    )
    compared = driftlake.compare(frame, frame, exclude=["y"])
    assert set(compared.frame["feature"]) == {"x"}
    assert compared.left_out == {"order_id": "an id", "at": "a point in time"}
    assert "left out: order_id (an id); at (a point in time)" in str(compared)


def test_a_result_is_a_sentence_and_a_table_in_text_and_in_html() -> None:
    generator = np.random.default_rng(2)
    frame = pd.DataFrame({"<b>x": generator.normal(size=500), "z": generator.normal(size=500)})
    compared = driftlake.compare(frame, frame.assign(z=frame["z"] + 2))
    assert compared.sentence == "1 of 2 columns drifted (z): 500 rows compared with 500"
    assert str(compared).startswith(compared.sentence + "\n┌")
    assert "<table" in compared._repr_html_()
    assert "<b>x" not in compared._repr_html_()
    assert list(compared.to_pandas().columns) == compared.frame.columns


def test_settings_of_a_call_change_what_is_computed_and_judged() -> None:
    generator = np.random.default_rng(2)
    frame = pl.DataFrame({"x": generator.normal(size=500)})
    compared = driftlake.compare(
        frame,
        frame.select(pl.col("x") + 1),
        drift={"statistics": {"numeric": ["psi"]}, "thresholds": {"psi": {"warn": 0.01, "drift": 0.02}}},
    )
    assert compared.frame.select("statistic", "warn_threshold", "outcome").rows() == [("psi", 0.01, "drift")]


X = pl.DataFrame({"x": [1.0, 2.0, 3.0] * 100})


@pytest.mark.parametrize(
    ("current", "asked", "said"),
    [
        (X.rename({"x": "X"}), {}, "current has no column x (it has X, which is a different name)"),
        (X.cast(pl.String), {}, "current: column x has type large_string, expected a number as in reference"),
        (X.clear(), {}, "current has no rows"),
        ([1, 2], {}, "current is of type list, expected a pandas or polars data frame"),
        (X["x"], {}, "current cannot be read: it is a Series, expected a data frame"),
        ("nowhere.parquet", {}, "there is no folder"),
        (pd.DataFrame({"x": [1.0, "a"]}), {}, "current cannot be read: .*column x with type"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), {}, "current.* several columns called x|Duplicate column names"),
        (X, {"features": ["y"]}, "reference has no column y"),
        (X, {"exclude": X.columns}, "reference has no column to compare"),
        (X, {"features": ["x", "x"]}, "compare.features: listed twice: x"),
        (X, {"score": "x", "score_kind": "probable"}, "compare.score_kind: Input should be 'probability'"),
        (X, {"drift": {"minimum_row": 5}}, "drift.minimum_row: Extra inputs are not permitted"),
        (X, {"drift": {"windows_days": [7]}}, "windows_days cannot be given"),
        (X, {"model_id": "credit"}, "the configuration has no section models.credit"),
    ],
)
def test_a_mistake_in_a_comparison_is_a_sentence(current: Any, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(DriftlakeError, match=said.replace("(", r"\(").replace(")", r"\)")):
        driftlake.compare(X, current, **asked)


LABELLED = pl.DataFrame(
    {
        "y": [0, 1] * 50,
        "p": [0.2, 0.7] * 50,
        "word": ["good", "bad"] * 50,
        "none": pl.Series([None] * 100, dtype=pl.Int64),
    }
)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"label": "z"}, "frame has no column z"),
        ({"label": "y", "score": "word"}, "frame: column word has type large_string, expected a number"),
        ({"label": "none", "score": "p"}, "frame: column none has no labels"),
        (
            {"label": "word", "score": "p"},
            "(?s)values (bad|good) .50 rows., (bad|good) .50 rows., expected 0 and 1.*positive=",
        ),
        ({"label": "y", "score": "p", "day": "p"}, "frame: column p has type double, expected a date"),
        (
            {"label": "word", "task": "multiclass", "classes": ["good", "bad"], "class_scores": {"good": "word"}},
            "frame: column word has type large_string, expected a number",
        ),
        ({"label": "y", "score": "p", "task": "multiclass"}, "performance: a multiclass model needs its classes"),
    ],
)
def test_a_mistake_in_a_measurement_is_a_sentence(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(DriftlakeError, match=said):
        driftlake.performance(LABELLED, **asked)


def test_declared_labels_percentages_and_classes_are_measured_like_plain_ones() -> None:
    def values(**asked: Any) -> dict[str, float | None]:
        rows = driftlake.performance(frame, **asked).frame
        return dict(rows.filter(~pl.col("statistic").str.starts_with("estimated")).select("statistic", "value").rows())

    frame = LABELLED.with_columns(percent=pl.col("p") * 100, a=1 - pl.col("p"))
    plain = values(label="y", score="p")
    assert plain["auc"] == plain["accuracy"] == 1
    assert values(label="word", score="p", positive="bad") == plain
    assert values(label="y", score="percent", score_kind="percent") == pytest.approx(plain)
    classes = {"good": "a", "bad": "p"}
    of_classes = values(
        label="word", task="multiclass", classes=list(classes), predicted_class="word", class_scores=classes
    )
    assert of_classes == {"auc": 1.0, "accuracy": 1.0, "f1_score": 1.0}
    errors = values(label="y", score="p", task="regression")
    assert errors["mean_absolute_error"] == pytest.approx(0.25)


def test_a_project_is_read_by_model_day_and_feature(night: Project) -> None:
    project = driftlake.open(night.root / "driftlake.yaml")
    assert set(project.drift()["dt"]) == {day(DAYS)}
    assert set(project.drift("credit", feature="score", since=day(2), until=str(day(3)))["dt"]) == {day(2), day(3)}
    assert project.verdicts(until=day(DAYS))["model_id"].to_list() == ["credit"]
    assert project.quality("credit", "v1", until=day(DAYS) + timedelta(days=9)).is_empty()
    assert project.sql("select count(*) as n from feature_drift where segment = 'all'")["n"].item() > 0


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda project: project.drift("credits"), InputError, "there is no model_id credits\nhint: there is credit"),
        (lambda project: project.drift("credit", feature="agee"), InputError, "there is no feature agee"),
        (lambda project: project.drift("credit", segment="contry=de"), InputError, "there is no segment contry=de"),
        (lambda project: project.quality(since="yesterday"), ConfigurationError, "since: 'yesterday' is not a day"),
        (lambda project: project.verdicts(since=day(3), until=day(2)), ConfigurationError, "is before since"),
        (lambda project: project.sql("select * from nothing"), DriftlakeError, "nothing does not exist"),
        (lambda project: project.sql("delete from feature_drift"), DriftlakeError, "statement of kind delete"),
    ],
)
def test_a_mistake_in_reading_a_project_is_a_sentence(
    night: Project, call: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        call(driftlake.open(night.settings))


WITHOUT_PANDAS = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())

import driftlake, polars as pl
frame = pl.DataFrame({"x": [1.0, 2.0] * 200, "y": [0, 1] * 200, "p": [0.2, 0.7] * 200})
print(len(driftlake.compare(frame, frame, exclude=["y", "p"]).frame))
print(driftlake.performance(frame, label="y", score="p").summary["value"][0])
"""


def test_pandas_is_not_needed() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_PANDAS], capture_output=True, text=True, check=True)
    assert done.stdout == "8\n1.0\n"


def generator_of_docs() -> Any:
    spec = spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_notebook_shows_what_its_cells_give(night: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    path = DOCS / "connect" / "python.ipynb"
    generate = generator_of_docs()
    assert path.read_text() == generate.notebook(path), "run `make docs`"
    monkeypatch.chdir(night.root)
    names: dict[str, Any] = {"driftlake": driftlake}
    of_project = [
        "".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["metadata"].get("tags")
    ]
    assert len(of_project) == 4
    for source in of_project:
        [output] = generate.shown(source, names)
        assert "text/html" in output["data"]


def md5_lower(text: str) -> str:
    """The hash by which predictions are chosen: the second half of the md5, lowest byte first."""
    return hashlib.md5(text.encode()).digest()[8:][::-1].hex()


def test_a_sample_holds_the_predictions_with_the_smallest_hashes_and_their_labels(night: Project) -> None:
    taken = samples(night, rows=100, window_days=3)
    raw = labelled(night).filter(pl.col("dt") > day(DAYS - 3))
    expected = (
        raw.with_columns(row_id=pl.col("correlation_id").map_elements(md5_lower, pl.String)).sort("row_id").head(100)
    )
    found = polars(taken.current)
    names = ["row_id", "age", "amount", "ratio", "score", "label"]
    assert_frame_equal(found.select(names), expected.select(names).cast({"age": pl.Float64, "label": pl.Float64}))
    assert found["channel"].to_list() == expected["channel"].to_list()
    assert set(found["is_member"]) == {"true", "false"}


def test_both_samples_have_the_same_columns_and_types_and_the_same_rows_in_every_call(night: Project) -> None:
    taken, again = samples(night, rows=100), samples(night, rows=100)
    assert taken.current.schema == taken.reference.schema
    assert taken.reference.column_names == ["row_id", *FEATURES, "score", "label"]
    assert (taken.reference, taken.current) == (again.reference, again.current)
    assert set(samples(night, rows=50).reference["row_id"].to_pylist()) < set(taken.reference["row_id"].to_pylist())


def samples(project: Project, *, rows: int, window_days: int = DAYS) -> Samples:
    asked = Asked("credit", None, day(DAYS), window_days, row_count=rows)
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        return take_samples(warehouse, project.settings, asked)


def polars(rows: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame


def test_samples_are_written_as_parquet_and_their_comparison_finds_the_shift(night: Project, tmp_path: Path) -> None:
    words = ["sample", "--model", "credit", "--date", str(day(DAYS)), "--feature", "age", "--feature", "ratio"]
    ran = CliRunner().invoke(app, [*words, "--out", str(tmp_path), "--config", str(night.root / "driftlake.yaml")])
    assert ran.output.split() == [str(tmp_path / name) for name in ("reference.parquet", "current.parquet")]
    compared = driftlake.compare(
        tmp_path / "reference.parquet",
        tmp_path / "current.parquet",
        features=["age", "ratio"],
        drift={"minimum_rows": 100},
    )
    assert dict(compared.summary.select("feature", "outcome").rows()) == {"age": "drift", "ratio": "stable"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked("churn", None, day(DAYS), 1), "there is no model churn\nhint: there is credit"),
        (Asked("credit", "v2", day(DAYS), 1), "there is no version v2 of credit\nhint: there is v1"),
        (Asked("credit", None, day(DAYS), 1, features=["agee"]), "credit v1 has no feature agee"),
        (Asked("credit", None, day(DAYS), 1, "shadow"), r"credit v1 \(shadow\) has no predictions from"),
        (Asked("credit", None, day(DAYS + 50), 7), "there is no telemetry that can be read from"),
    ],
)
def test_a_sample_that_cannot_be_taken_says_why(night: Project, asked: Asked, said: str) -> None:
    with Warehouse.open(night.settings, read_only=True) as warehouse, pytest.raises(InputError, match=said):
        take_samples(warehouse, night.settings, asked)


def test_a_sample_leaves_out_personal_data_and_files_that_cannot_be_read(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.telemetry(1, colour=[f"anna{row}@example.com" for row in range(300)])
    break_pages(project.telemetry(1, name="part-1"))
    asked = Asked("credit", None, day(1), 1)
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        found = take_samples(warehouse, project.settings, asked).current
    assert (found.num_rows, found["colour"].null_count, found["x"].null_count) == (300, 300, 0)
