"""A file that cannot be used is left out, and changes no rows of other models and days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

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


# A day for each file, and a good day after them.
LAST = len(HOSTILE_FILES) + 1


@dataclass(frozen=True)
class Nights:
    """Rows of all days, and the reason of each day."""

    contents: Mapping[str, Sequence[tuple[Any, ...]]]
    said: Mapping[date, str]

    def about(self, number: int) -> dict[str, list[tuple[Any, ...]]]:
        return {table: [row for row in rows if day(number) in row] for table, rows in self.contents.items()}


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    return nights(Project(tmp_path_factory.mktemp("without") / "project"))


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """The same days, with a hostile file in each but the last."""
    project = Project(tmp_path_factory.mktemp("spoiled") / "project")
    # each file is made as day 1 and moved; the last one stays there
    for number, (make, _) in reversed(list(enumerate(HOSTILE_FILES.values(), start=1))):
        make(project)
        file = project.root / "telemetry" / f"dt={day(1)}" / "part-1.parquet"
        place = file.parent.with_name(f"dt={day(number)}")
        place.mkdir(exist_ok=True)
        file.rename(place / file.name)
    with pytest.MonkeyPatch.context() as patch:
        # a day of ten million equal rows takes seconds to write
        patch.setattr(parquet_files, "_FEW_ROWS", 10_000)
        return nights(project)


def nights(project: Project) -> Nights:
    """Predictions of two versions on every day, and their labels on the day after."""
    project.register("v2")
    for number in range(1, LAST + 1):
        project.telemetry(number, model_version=["v1", "v2"] * 150)
        if number > 1:
            project.labels(number, number - 1)
    profiled, labelled = project.run(1, LAST, until="label_cohorts")
    assert outcomes(labelled) == {day(1): "empty"} | {day(n): "complete" for n in range(2, LAST + 1)}
    assert outcomes(profiled)[day(LAST)] == "complete"
    return Nights(project.contents(*TABLES), {run.dt: f"{run.outcome}: {run.reason}" for run in profiled.runs})


@pytest.mark.parametrize(
    ("number", "says"), [*enumerate((says for _, says in HOSTILE_FILES.values()), 1)], ids=HOSTILE_FILES
)
def test_a_file_that_cannot_be_used_is_left_out_alone(without: Nights, spoiled: Nights, number: int, says: str) -> None:
    assert spoiled.said[day(number)].startswith("partial: ")
    assert f"part-1.parquet {says}" in spoiled.said[day(number)]
    assert spoiled.about(number) == without.about(number)


def test_files_that_cannot_be_used_change_no_other_day(without: Nights, spoiled: Nights) -> None:
    assert spoiled.contents == without.contents


@pytest.mark.parametrize("is_one_cell", [True, False])
def test_large_cells_are_found_in_dictionaries(tmp_path: Path, *, is_one_cell: bool) -> None:
    cells = ["x" * 20_000_000] * 20 if is_one_cell else ["x" * 1000 + str(row) for row in range(20_000)]
    path = write_day(tmp_path, 1, pa.table({"text": cells}))
    pq.write_table(pa.table({"text": cells}), path, compression="zstd", dictionary_pagesize_limit=1 << 30)
    [partition] = read_partitions(str(tmp_path), [day(1)], [], {})
    assert partition.files[0].cell_bytes("text") == (20_000_004 if is_one_cell else 0)


def test_hidden_files_are_ignored_everywhere(tmp_path: Path) -> None:
    path = write_day(tmp_path, 1, {"x": [1]})
    for name in ("_staged", ".part-0"):
        write_day(tmp_path, 1, {"x": np.arange(9)}, name=name)
    [partition] = read_partitions(str(tmp_path), [day(1)], [], {})
    assert [file.path for file in partition.files] == [
        file.path for file in list_input(str(tmp_path)).files_of(day(1)).files
    ]
    assert [file.path for file in partition.files] == [str(path)]


def test_hidden_files_are_ignored_in_training_data_and_lineage(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    (tmp_path / "project" / "lineage" / "_draft.yaml").write_text("no: lineage")
    [file] = read_lineage_folder(project.settings)
    for name in ("part", "_temporary/part", ".part"):
        (path := tmp_path / "training" / f"{name}.parquet").parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"x": [1.0]}), path)
    assert TrainingData(replace(file, training_data=str(tmp_path / "training"))).row_count() == 1
