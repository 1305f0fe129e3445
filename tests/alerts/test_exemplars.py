"""The example predictions of an alert are of its version, and in the bins of its feature that grew."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from data import MODEL, Row, day, given
from drifted_week import DAYS, process

from driftlake.alerts.exemplars import EACH, find_exemplars
from driftlake.lake import queries

COLUMNS = dict.fromkeys((*MODEL, "deployment", "correlation_id", "trace_id", "feature_text"), "varchar")
BIN: Row = {"bin_id": 3, "label": "b", "growth": 0.1, "lowest": 0.0, "highest": 100.0}


@pytest.mark.parametrize(
    ("grown", "expected"),
    [
        ({"bin_kind": "missing"}, ["gone", "nan"]),
        ({"bin_kind": "category", "category": "red"}, ["red"]),
        ({"bin_kind": "other", "bin_id": 1}, ["rare"]),
        ({"bin_kind": "unseen", "bin_id": 2}, ["low", "nan", "new", "ten", "twenty", "vast"]),
        ({"bin_kind": "range", "lower": 10.0, "upper": 20.0}, ["ten"]),
        ({"bin_kind": "below"}, ["low"]),
        ({"bin_kind": "above"}, ["vast"]),
    ],
    ids=lambda value: value["bin_kind"] if isinstance(value, dict) else "",
)
def test_rows_are_of_the_bin_that_grew(db: duckdb.DuckDBPyConnection, grown: Row, expected: list[str]) -> None:
    values = {"gone": None, "nan": "nan", "red": "red", "rare": "rare", "new": "new"}
    values |= {"low": "-1", "ten": "10", "twenty": "20", "vast": "100"}
    rows = [MODEL | {"correlation_id": name, "feature_text": value} for name, value in values.items()]
    others = [{"model_version": "v2"}, {"deployment": "shadow"}]
    rows += [row | other for other in others for row in rows]
    given(db, "texts", COLUMNS, rows)
    db.execute("create table predictions as select *, try_cast(feature_text as double) as feature_number from texts")
    kinds = dict.fromkeys(("bin_kind", "label", "category"), "varchar") | {"bin_id": "integer"}
    kinds |= dict.fromkeys(("growth", "lower", "upper", "lowest", "highest"), "double")
    given(db, "grown_bins", kinds, [BIN | grown])
    known = [{"category": "red", "bin_id": 3}, {"category": "rare", "bin_id": 1}]
    given(db, "known_categories", {"category": "varchar", "bin_id": "integer"}, known)
    found = queries.run(db, "exemplars/rows", **MODEL, deployment="production", each=9).to_arrow_table()
    assert sorted(found["correlation_id"].to_pylist()) == expected


def test_a_drifted_feature_has_a_few_predictions_to_look_at(tmp_path: Path) -> None:
    project = process(tmp_path)
    last = day(DAYS)
    alerts = project.warehouse.query("report/alerts", day=last, smallest_cell=1).to_pylist()
    income = next(alert for alert in alerts if alert["feature"] == "income")
    found = find_exemplars(project.warehouse, project.settings, income, last)
    file = pq.read_table(tmp_path / "telemetry" / f"dt={last}" / "part-0.parquet", columns=["correlation_id", "income"])
    incomes = dict(zip(*(file[name].to_pylist() for name in file.column_names), strict=True))
    assert 0 < len(found) <= 3 * EACH
    # training has a mean of 50, the days of 60
    assert all(incomes[row["correlation_id"]] > 55 for row in found)
    assert found == find_exemplars(project.warehouse, project.settings, income, last)
    assert find_exemplars(project.warehouse, project.settings, income, day(DAYS + 90)) == []
    project.warehouse.connection.close()
