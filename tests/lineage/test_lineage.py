"""Registered versions never change, and training data that cannot be used is refused by column."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data import write_project

from driftlake.config import Settings
from driftlake.errors import ConfigurationError, DriftlakeError, InputError, LineageConflictError
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import LineageFile, read_lineage_folder
from driftlake.lineage.versions import load_versions
from driftlake.training.registration import register, register_folder

TRAINING = {"x": [0.5, 1.5, 2.5, None], "colour": ["red", "blue", "red", "red"], "score": [0.1, 0.2, 0.3, 0.4]}


def project(root: Path, training: dict[str, object] | None = None, *features: str) -> Settings:
    return write_project(root / "project", features=features or ("x", "colour"), training=training or TRAINING)


def registered(settings: Settings) -> list[LineageFile]:
    with Warehouse.open(settings) as warehouse:
        return register(warehouse, settings, read_lineage_folder(settings))


def edit(settings: Settings, old: str, new: str) -> None:
    path = Path(settings.resolve("lineage/credit-v1.yaml"))
    path.write_text(path.read_text().replace(old, new))


def test_a_version_is_registered_once(tmp_path: Path) -> None:
    settings = project(tmp_path)
    assert len(registered(settings)) == 1
    assert registered(settings) == []


def test_a_registered_version_comes_back_with_its_bins_and_counts(tmp_path: Path) -> None:
    settings = project(tmp_path)
    registered(settings)
    with Warehouse.open(settings, read_only=True) as warehouse:
        version = load_versions(warehouse)["credit", "v1"]
    assert version.features["colour"].categories == {"red": 3, "blue": 4}
    assert version.reference_counts["colour"].tolist() == [0, 0, 0, 3, 1]
    assert version.reference_counts["x"].tolist()[:3] == [1, 0, 0]


def test_changed_training_data_under_the_same_id_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    settings = project(tmp_path)
    registered(settings)
    with Warehouse.open(settings, read_only=True) as warehouse:
        (before,) = warehouse.sql("select dataset_fingerprint from training_runs")["dataset_fingerprint"].to_pylist()
    pq.write_table(pa.table(TRAINING | {"x": [0.5, 1.5, 2.5, 9.0]}), settings.resolve("training.parquet"))
    with pytest.raises(LineageConflictError) as caught:
        registered(settings)
    now = caught.value.message.split()[-1]
    assert before in caught.value.message
    assert now != before
    assert len(now) == len(before)


def test_a_changed_promise_of_a_registered_version_is_refused(tmp_path: Path) -> None:
    settings = project(tmp_path)
    registered(settings)
    edit(settings, "auc: 0.9", "auc: 0.8")
    with pytest.raises(LineageConflictError, match="credit v1 was registered with a different lineage file"):
        registered(settings)


def test_moved_training_data_is_the_same_training_data(tmp_path: Path) -> None:
    settings = project(tmp_path)
    registered(settings)
    Path(settings.resolve("training.parquet")).rename(settings.resolve("moved.parquet"))
    edit(settings, "../training.parquet", "../moved.parquet")
    assert registered(settings) == []


@pytest.mark.parametrize(
    "place", ["../../outside.parquet", "{outside}", "../link.parquet", "s3://other/x.parquet", "file:///etc/x.parquet"]
)
def test_training_data_outside_of_the_configured_places_is_refused_unread(tmp_path: Path, place: str) -> None:
    settings = project(tmp_path)
    outside = tmp_path / "outside.parquet"
    Path(settings.resolve("training.parquet")).rename(outside)
    Path(settings.resolve("link.parquet")).symlink_to(outside)
    edit(settings, "../training.parquet", place.format(outside=outside))
    with pytest.raises(
        ConfigurationError, match=r"is in none of the places .*\nhint: add its folder to lineage.training_roots"
    ):
        registered(settings)


def test_training_data_in_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    settings = project(tmp_path)
    Path(settings.resolve("training.parquet")).unlink()
    os.mkfifo(settings.resolve("training.parquet"))
    with pytest.raises(InputError, match=r"training.parquet is neither a regular file nor a folder"):
        registered(settings)


def test_training_data_in_a_configured_place_is_read(tmp_path: Path) -> None:
    settings = project(tmp_path)
    (tmp_path / "data").mkdir()
    Path(settings.resolve("training.parquet")).rename(tmp_path / "data" / "x.parquet")
    edit(settings, "../training.parquet", str(tmp_path / "data" / "x.parquet"))
    lineage = settings.lineage.model_copy(update={"training_roots": ("../data",)})
    assert registered(settings.model_copy(update={"lineage": lineage})) != []


def test_an_unknown_key_of_a_lineage_file_is_named_with_its_line(tmp_path: Path) -> None:
    settings = project(tmp_path)
    edit(settings, "training_run_id:", "trainingrun_id:")
    with pytest.raises(ConfigurationError, match=r"credit-v1.yaml:\d+: trainingrun_id: unknown key"):
        registered(settings)


@pytest.mark.parametrize(
    ("training", "features", "reason"),
    [
        (TRAINING, ("y",), "has no column y, which"),
        ({"x": pa.array([None, None], pa.float64()), "score": [0.1, 0.2]}, ("x",), "feature x has no finite value"),
        ({"x": [[1], [2]], "score": [0.1, 0.2]}, ("x",), "feature x has type list"),
        (TRAINING, ("score",), "a feature cannot be called 'score'"),
    ],
)
def test_training_data_that_cannot_be_used_is_refused(
    tmp_path: Path, training: dict[str, object], features: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        registered(project(tmp_path, training, *features))


def test_missing_training_data_is_named(tmp_path: Path) -> None:
    settings = project(tmp_path)
    Path(settings.resolve("training.parquet")).unlink()
    with pytest.raises(InputError, match=r"there is no .*training\.parquet"):
        registered(settings)


def test_without_a_list_every_column_but_target_and_score_is_a_feature(tmp_path: Path) -> None:
    settings = project(tmp_path)
    edit(settings, "features:\n- x\n- colour\n", "")
    registered(settings)
    with Warehouse.open(settings, read_only=True) as warehouse:
        assert list(load_versions(warehouse)["credit", "v1"].features) == ["x", "colour"]


def test_a_lineage_file_that_is_wrong_does_not_stop_the_others(tmp_path: Path) -> None:
    settings = project(tmp_path)
    Path(settings.resolve("lineage/a-broken.yaml")).write_text("model_id: [")
    with Warehouse.open(settings) as warehouse:
        registration = register_folder(warehouse, settings)
    assert [file.record.model_version for file in registration.registered] == ["v1"]
    assert "a-broken.yaml is not valid YAML" in str(registration.refused[0])


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("score: score", "released_at: 2026-02-30", "bad.yaml:12: released_at: day is out of range for month"),
        (
            "../training.parquet",
            "http://nowhere.invalid/x",
            "training_data http://nowhere.invalid/x is in none of the places",
        ),
        ("auc: 0.9", f"auc: {'9' * 5000}", "bad.yaml:2: baseline.auc: is a number with too many digits"),
        ("score: score", f"classes: {'[' * 5000}", "it is nested more than 50 deep"),
        ("score: score", "\xff", "bad.yaml cannot be read: 'utf-8' codec"),
        ("training.parquet", "odd.parquet", "(a column has a name that is not UTF-8)"),
    ],
)
def test_whatever_a_lineage_file_holds_the_other_versions_are_registered(
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    settings = project(tmp_path)
    good = Path(settings.resolve("lineage/credit-v1.yaml"))
    bad = good.read_text().replace("credit", "bad").replace("data-1", "data-2").replace(old, new)
    good.with_name("bad.yaml").write_bytes(bad.encode("latin-1"))
    # a column whose name is not UTF-8
    content = Path(settings.resolve("training.parquet")).read_bytes()
    Path(settings.resolve("odd.parquet")).write_bytes(content.replace(b"colour", b"c\xfflour"))
    with Warehouse.open(settings) as warehouse:
        registration = register_folder(warehouse, settings)
    assert [file.record.model_id for file in registration.registered] == ["credit"]
    [refusal] = registration.refused
    assert reason in refusal.message


def test_training_data_of_a_registered_version_may_be_deleted(tmp_path: Path) -> None:
    settings = project(tmp_path)
    registered(settings)
    Path(settings.resolve("training.parquet")).unlink()
    with Warehouse.open(settings) as warehouse:
        assert register_folder(warehouse, settings).refused == []


def test_two_sessions_that_register_at_once_leave_one_version(tmp_path: Path) -> None:
    settings = project(tmp_path)
    (file,) = read_lineage_folder(settings)
    rows = {"training_runs": pa.table({"model_id": ["credit"], "model_version": ["v1"]})}
    with Warehouse.open(settings) as warehouse:
        register(warehouse, settings, [file])
        assert not warehouse.append_once(rows, "training_runs", {"model_id": "credit", "model_version": "v1"})


def test_a_feature_whose_cells_are_too_large_is_refused(tmp_path: Path) -> None:
    training = {"x": ["a" * 10_000_000, "b" * 10_000_000], "score": [0.1, 0.2]}
    settings = write_project(tmp_path / "project", features=["x"], training=training)
    with pytest.raises(InputError, match="has column x with cells of 10,000,0"):
        registered(settings)


@pytest.mark.parametrize(
    ("training", "models", "reason"),
    [
        ({"x": [1.0, 2.0], "score": ["low", "high"]}, {}, "column score has type string, expected a number"),
        ({"x": ["a", "b"], "score": [0.1, 0.2]}, {"numeric": ["x"]}, "column x has type string, expected a number"),
        ({"x": [1.0, 2.0], "score": [0.1, 0.2]}, {"categorical": ["y"]}, "models.credit names y"),
    ],
)
def test_a_correction_or_score_that_does_not_fit_is_refused(
    tmp_path: Path, training: dict[str, object], models: dict[str, list[str]], reason: str
) -> None:
    settings = write_project(tmp_path / "project", features=["x"], training=training, models={"credit": models})
    with pytest.raises(DriftlakeError, match=reason):
        registered(settings)


@pytest.mark.parametrize("written", ["1.10", "2026-01-05", "010", "yes"])
def test_a_version_that_yaml_reads_as_a_number_is_the_text_in_the_file(tmp_path: Path, written: str) -> None:
    settings = project(tmp_path)
    edit(settings, "model_version: v1", f"model_version: {written}")
    [file] = read_lineage_folder(settings)
    assert file.record.model_version == written
    assert [remark.partition("model_version: ")[2] for remark in file.remarks] == [
        f"{written} is read as text; write it in quotes"
    ]


def test_only_features_that_are_not_critical_are_learned_with_fewer_bins(tmp_path: Path) -> None:
    values = [number / 7 for number in range(1000)]
    settings = write_project(
        tmp_path / "project",
        features=("x", "y"),
        training={"x": values, "y": values, "score": [0.5] * 1000},
        models={"credit": {"critical": ["x"]}},
        drift={"other_features_bins": 12},
    )
    registered(settings)
    with Warehouse.open(settings, read_only=True) as warehouse:
        features = load_versions(warehouse)["credit", "v1"].features
    assert {name: bins.bin_kinds.count("range") for name, bins in features.items()} == {"x": 100, "y": 12}


def test_numbers_with_a_bin_of_several_values_over_a_percentile_are_named(tmp_path: Path) -> None:
    continuous = [number / 7 for number in range(1000)]
    tied = [0.0] * 300 + [1 + number / 7 for number in range(700)]
    settings = write_project(
        tmp_path,
        features=("x", "amount", "coarse"),
        training={"x": continuous, "amount": tied, "coarse": continuous, "score": [0.5] * 1000},
        models={"credit": {"critical": ["x", "amount"]}},
        drift={"other_features_bins": 10},
    )
    registered(settings)
    with Warehouse.open(settings, read_only=True) as warehouse:
        assert load_versions(warehouse)["credit", "v1"].heaviest_bins() == {"coarse": 0.1}
