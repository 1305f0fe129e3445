"""Delta and Iceberg tables are read according to their logs, with the same results as folders with the same rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from data import day
from deltalake import DeltaTable
from lakehouse_tables import create_iceberg, delete_by_vector, delete_positions, write_delta
from project import Project, outcomes
from pyiceberg.manifest import DataFileContent
from pyiceberg.transforms import DayTransform, IdentityTransform

from driftlake.errors import InputError
from driftlake.inputs.late_files import late_ranges
from driftlake.inputs.listing import list_input
from driftlake.inputs.parquet_files import read_footer
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.training.learning import TrainingData

DAYS = (1, 2, 3)
COUNTED = {
    "feature_profile": "select dt, feature, bin_id, row_count from feature_profile order by all",
    "label_cohorts": "select dt, prediction_on, bin_id, positive_count, negative_count from label_cohorts order by all",
}


def of_day(path: Path, number: int) -> pa.Table:
    rows = pq.read_table(path, partitioning=None)
    return rows.append_column("dt", pa.array([day(number)] * len(rows), pa.date32()))


def without(path: Path, ids: list[str]) -> None:
    rows = pq.read_table(path, partitioning=None)
    pq.write_table(rows.filter(pc.invert(pc.is_in(rows["correlation_id"], pa.array(ids)))), path)


def ids_at(path: Path, rows: list[int]) -> list[str]:
    found: list[str] = pq.read_table(path, partitioning=None)["correlation_id"].take(rows).to_pylist()
    return found


def test_tables_are_counted_like_folders_with_the_rows_in_their_logs(tmp_path: Path) -> None:
    plain, project = Project(tmp_path / "plain"), Project(tmp_path / "project")
    telemetry = {number: plain.telemetry(number) for number in DAYS}
    labels = {number: plain.labels(number, max(number - 1, 1)) for number in DAYS}
    project.configure(telemetry={"path": "predictions"}, labels={"path": "arrivals"})

    # telemetry: a feature that exists only in folder names, a deletion vector, a replaced day
    delta = project.root / "predictions"
    replaced = of_day(telemetry[3], 3)
    write_delta(delta, [of_day(telemetry[number], number) for number in DAYS], ["dt", "colour"])
    DeltaTable(delta).delete(f"dt = '{day(3)}'")
    write_delta(delta, [replaced], ["dt", "colour"])
    [red] = (delta / f"dt={day(2)}" / "colour=red").glob("*.parquet")
    without(telemetry[2], ids_at(red, [0, 3, 7]))
    delete_by_vector(delta, str(red.relative_to(delta)), [0, 3, 7])

    # labels: deleted positions of one file
    arrivals = [of_day(labels[number], number) for number in DAYS]
    iceberg = create_iceberg(project.root / "arrivals", arrivals[0].schema, {"dt": IdentityTransform()})
    for rows in arrivals:
        iceberg.append(rows)
    [second] = (project.root / "arrivals" / "data").glob(f"*{day(2)}/*.parquet")
    without(labels[2], ids_at(second, [1, 2]))
    delete_positions(project.root / "arrivals", iceberg, 1, [1, 2])

    for each in (plain, project):
        reports = each.run(1, 3, until="label_cohorts")
        assert [set(outcomes(report).values()) for report in reports] == [{"complete"}, {"complete"}]
    for name, query in COUNTED.items():
        assert project.rows(query) == plain.rows(query), name
    recorded = (
        "select source, list(distinct table_version), sum(row_count) from current_input_files group by all order by all"
    )
    version = str(iceberg.current_snapshot().snapshot_id)
    assert project.rows(recorded) == [("labels", [version], 898), ("telemetry", ["5"], 897)]

    # another day does not make these days late; deleted rows do
    write_delta(
        delta,
        [replaced.set_column(replaced.column_names.index("dt"), "dt", [[day(9)] * len(replaced)])],
        ["dt", "colour"],
    )
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        assert late_ranges(warehouse, project.settings) == []
    delete_positions(project.root / "arrivals", iceberg, 2, [5])
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        [late] = late_ranges(warehouse, project.settings)
    assert (late.first_day, late.last_day) == (day(3), day(3))


ROWS = pa.table({"correlation_id": ["a", "b"], "at": pa.array([0, 1], pa.timestamp("us"))})


def test_an_iceberg_table_is_by_day_if_it_is_partitioned_by_the_day_of_a_time(tmp_path: Path) -> None:
    table = create_iceberg(tmp_path / "t", ROWS.schema, {"at": DayTransform()})
    table.append(ROWS)
    found = list_input(str(tmp_path / "t"))
    assert [str(found_day) for found_day in found.days] == ["1970-01-01"]
    assert found.layout.endswith("partitioned by at_part=YYYY-MM-DD")


def test_a_table_that_is_not_partitioned_by_day_is_refused(tmp_path: Path) -> None:
    write_delta(tmp_path / "t", [ROWS], ["correlation_id"])
    with pytest.raises(InputError, match="2 files of no day: the Delta table is partitioned by correlation_id"):
        list_input(str(tmp_path / "t"))


def test_a_column_that_was_renamed_in_the_table_keeps_old_files_from_being_read(tmp_path: Path) -> None:
    rows = ROWS.append_column("dt", pa.array([day(1)] * 2, pa.date32()))
    table = create_iceberg(tmp_path / "t", rows.schema, {"dt": IdentityTransform()})
    table.append(rows)
    with table.update_schema() as schema:
        schema.rename_column("at", "event_time")
    [file] = list_input(str(tmp_path / "t")).files_of(day(1)).files
    assert "has a column at, which its table now calls event_time" in str(read_footer(file, day(1)).refusal)


def test_equality_deletes_are_refused(tmp_path: Path) -> None:
    rows = ROWS.append_column("dt", pa.array([day(1)] * 2, pa.date32()))
    table = create_iceberg(tmp_path / "t", rows.schema, {"dt": IdentityTransform()})
    table.append(rows)
    delete_positions(tmp_path / "t", table, 0, [0], DataFileContent.EQUALITY_DELETES)
    with pytest.raises(InputError, match="with equality deletes, which driftlake cannot read"):
        list_input(str(tmp_path / "t"))


def test_column_mapping_is_refused(tmp_path: Path) -> None:
    rows = ROWS.append_column("dt", pa.array([day(1)] * 2, pa.date32()))
    write_delta(tmp_path / "t", [rows], ["dt"])
    log = tmp_path / "t" / "_delta_log" / f"{0:020d}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "metaData" in action:
            action["metaData"]["configuration"] = {"delta.columnMapping.mode": "name"}
    log.write_text("\n".join(map(json.dumps, actions)))
    with pytest.raises(InputError, match="Delta table with column mapping|column mapping|columnMapping"):
        list_input(str(tmp_path / "t"))


@pytest.mark.parametrize(("kind", "package"), [("Delta", "deltalake"), ("Iceberg", "pyiceberg")])
def test_without_the_package_a_table_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, package: str
) -> None:
    if kind == "Delta":
        (tmp_path / "_delta_log").mkdir()
    else:
        (tmp_path / "metadata").mkdir()
        (tmp_path / "metadata" / "v1.metadata.json").write_text("{}")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        InputError, match=f"{kind} table, and the package {package}, which reads its log, is not"
    ) as raised:
        list_input(str(tmp_path))
    assert raised.value.hint == "pip install 'driftlake[lakehouse]'"


@pytest.mark.parametrize("log", ["_delta_log", "metadata"])
def test_a_log_that_cannot_be_read_is_a_sentence(tmp_path: Path, log: str) -> None:
    (tmp_path / log).mkdir()
    (tmp_path / log / f"{7:020d}.json").write_text("{}")
    (tmp_path / log / "v7.metadata.json").write_text("{}")
    with pytest.raises(InputError, match="the log of the (Delta|Iceberg) table cannot be read"):
        list_input(str(tmp_path))


def test_the_data_folder_of_an_iceberg_table_is_not_read_without_its_metadata(tmp_path: Path) -> None:
    table = create_iceberg(tmp_path / "t", ROWS.schema, {"at": DayTransform()})
    table.append(ROWS)
    with pytest.raises(InputError, match="only the metadata of the table says which of them are current"):
        list_input(str(tmp_path / "t" / "data"))


def test_a_hudi_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".hoodie").mkdir()
    with pytest.raises(InputError, match="is a Hudi table"):
        list_input(str(tmp_path))


def test_training_data_may_be_a_table(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", lineage={"training_data": "../training.parquet"})
    rows = pq.read_table(project.root / "training.parquet")
    delta = project.root / "table"
    write_delta(delta, [rows, rows], ["colour"])
    DeltaTable(delta).delete("x < 0")
    lineage = project.root / "lineage" / "credit-v1.yaml"
    lineage.write_text(lineage.read_text().replace("training.parquet", "table"))
    data = TrainingData(read_lineage_folder(project.settings)[0])
    kept = rows.filter(pc.greater_equal(rows["x"], 0))
    assert data.row_count() == 2 * len(kept)
    assert sorted(data.column("x").to_pylist()) == sorted(kept["x"].to_pylist() * 2)
    assert set(data.column("colour").to_pylist()) == {"red", "blue"}
