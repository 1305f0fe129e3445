"""What is parsed from the files of sql/: Arrow types of tables, the tables that views read, parameters."""

from __future__ import annotations

import duckdb
import pytest

from driftlake.lake import project_files, queries, schema


def test_arrow_schemas_are_those_of_results_of_duckdb(db: duckdb.DuckDBPyConnection) -> None:
    db.execute("set TimeZone = 'UTC'")
    for table in schema.tables():
        db.execute(table.ddl)
        assert schema.arrow_schema(table.name) == db.execute(f"from {table.name}").to_arrow_table().schema, table.name


def test_a_view_reads_tables_and_other_views_but_neither_its_own_steps_nor_what_comments_name() -> None:
    ddl = (
        "-- not from alerts\ncreate or replace view v as\nwith step as (from labels) select * from step, newest_day;\n"
    )
    assert schema.View("v", "", ddl).reads == {"labels", "newest_day"}


def test_every_view_comes_after_what_it_reads() -> None:
    created = {table.name for table in schema.tables()}
    for view in schema.views_in_order():
        assert view.reads
        assert view.reads <= created
        created.add(view.name)
    assert created >= {view.name for view in schema.views()}


def test_parameters_are_those_that_duckdb_binds(monkeypatch: pytest.MonkeyPatch) -> None:
    sql = "select $p95, '$text', \"$name\" -- $comment\nfrom t where dt = $day"
    monkeypatch.setattr(queries, "statement", lambda _: sql)
    assert queries.parameters.__wrapped__("any") == {"p95", "day"}


def test_every_file_of_sql_is_one_statement() -> None:
    files = project_files.sources("sql")
    assert not [name for name, file in files if len(duckdb.extract_statements(file.read_text())) != 1]
