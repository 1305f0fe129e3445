"""A file that cannot be used costs itself: every other model's and day's rows are those without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus import HOSTILE_FILES
from data import day, write_day
from project import Project, outcomes

from driftlake.inputs import parquet_files
from driftlake.inputs.listing import list_input
from driftlake.inputs.partitions import read_partitions
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.training.learning import TrainingData

TABLES = ("feature_profile", "feature_stats", "prediction_profile", "schema_changes", "label_cohorts")


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return night(tmp_path_factory.mktemp("night") / "project", lambda _: None)[0]


def night(root: Path, spoil: Callable[[Project], object]) -> tuple[dict[str, object], str]:
    """Rows of two days of two versions, and what was said of the first day."""
    project = Project(root)
    project.register("v2")
    spoil(project)
    for number in (1, 2):
        project.telemetry(number, model_version=["v1", "v2"] * 150)
    project.labels(2, 1)
    profiled, labelled = project.run(1, 2, until="label_cohorts")
    assert outcomes(labelled) == {day(1): "empty", day(2): "complete"}
    assert outcomes(profiled)[day(2)] == "complete"
    return project.contents(*TABLES), f"{outcomes(profiled)[day(1)]}: {profiled.runs[0].reason}"


@pytest.mark.parametrize(("make", "says"), HOSTILE_FILES.values(), ids=HOSTILE_FILES)
def test_a_file_that_cannot_be_used_costs_itself(
    tmp_path: Path,
    without: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Project], object],
    says: str,
) -> None:
    # a day of ten million equal rows takes seconds to write
    monkeypatch.setattr(parquet_files, "_FEW_ROWS", 10_000)
    contents, said = night(tmp_path / "project", make)
    assert said.startswith("partial: ")
    assert f"part-1.parquet {says}" in said
    assert contents == without


@pytest.mark.parametrize("is_one_cell", [True, False])
def test_large_cells_are_found_in_dictionaries(tmp_path: Path, *, is_one_cell: bool) -> None:
    cells = ["x" * 20_000_000] * 20 if is_one_cell else ["x" * 1000 + str(row) for row in range(20_000)]
    path = write_day(tmp_path, 1, pa.table({"text": cells}))
    pq.write_table(pa.table({"text": cells}), path, compression="zstd", dictionary_pagesize_limit=1 << 30)
    [partition] = read_partitions(str(tmp_path), [day(1)], [], {})
    assert partition.files[0].cell_bytes("text") == (20_000_004 if is_one_cell else 0)


def test_files_that_writers_hide_are_nowhere_seen(tmp_path: Path) -> None:
    path = write_day(tmp_path, 1, {"x": [1]})
    for name in ("_staged", ".part-0"):
        write_day(tmp_path, 1, {"x": np.arange(9)}, name=name)
    [partition] = read_partitions(str(tmp_path), [day(1)], [], {})
    assert [file.path for file in partition.files] == [
        file.path for file in list_input(str(tmp_path)).files_of(day(1)).files
    ]
    assert [file.path for file in partition.files] == [str(path)]


def test_training_and_lineage_pass_over_what_writers_hide(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    (tmp_path / "project" / "lineage" / "_draft.yaml").write_text("no: lineage")
    [file] = read_lineage_folder(project.settings)
    for name in ("part", "_temporary/part", ".part"):
        (path := tmp_path / "training" / f"{name}.parquet").parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"x": [1.0]}), path)
    assert TrainingData(replace(file, training_data=str(tmp_path / "training"))).row_count() == 1
