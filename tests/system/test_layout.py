"""Imports are light and layered, and the generated documentation is current."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from data import write_project
from generated_pages import ROOT, generated_pages

import assets
from driftlake.lake import schema
from driftlake.lake.warehouse import Warehouse


def test_importing_the_core_is_light() -> None:
    code = (
        "import sys, driftlake.cli, driftlake.setup.doctor;"
        "from driftlake.nightly import derived, labels, profiles;"
        "heavy = ('dagster', 'great_expectations', 'altair', 'pandas', 'scipy.stats', 'driftlake.connect');"
        "print([m for m in heavy if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"


def test_every_query_is_used() -> None:
    code = "".join(
        path.read_text() for folder in ("driftlake", "assets", "expectations") for path in (ROOT / folder).rglob("*.py")
    )
    listed = set(re.findall(r'queries\.names\("(\w+)"\)', code))
    queries = [path for path in (ROOT / "sql").glob("*/*.sql") if path.parent.name not in listed]
    unused = [
        path for path in queries if f'"{path.stem}"' not in code and f'"{path.parent.name}/{path.stem}"' not in code
    ]
    assert unused == []


def test_every_query_lies_in_a_folder() -> None:
    assert list((ROOT / "sql").glob("*.sql")) == []


def test_the_assets_imported_are_ours() -> None:
    assert Path(str(assets.__file__)).parent == ROOT / "assets"


def test_every_public_name_is_there_and_costs_nothing_until_it_is_asked_for() -> None:
    code = (
        "import sys, driftlake; print([m for m in sys.modules if m.startswith('driftlake.')]);"
        "from driftlake import *; print(sorted(driftlake.__all__ - globals().keys()))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n[]\n"


@pytest.mark.parametrize(
    ("old", "names"), [("statistics", ["Statistic", "register", "resampled"]), ("warehouse", ["Warehouse"])]
)
def test_an_old_path_works_and_says_where_the_new_one_is(old: str, names: list[str]) -> None:
    sys.modules.pop(f"driftlake.{old}", None)
    with pytest.warns(FutureWarning, match=f"driftlake.{old} has moved: use `from driftlake import"):
        module = importlib.import_module(f"driftlake.{old}")
    assert all(hasattr(module, name) for name in names)


def allowed_imports(package: str) -> list[str]:
    """Packages that a package of driftlake may import by the contracts of import-linter, from the highest layer down."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layered] = [contract for contract in contracts if "containers" in contract]
    layers = [layer.split(" | ") for layer in layered["layers"]]
    [place] = [place for place, layer in enumerate(layers) if package in layer]
    forbidden = {
        module.removeprefix("driftlake.")
        for contract in contracts
        if contract["type"] == "forbidden" and f"driftlake.{package}" in contract["source_modules"]
        for module in contract["forbidden_modules"]
    }
    return [name for layer in layers[place + 1 :] for name in layer if name not in forbidden]


@pytest.mark.parametrize("package", sorted(path.parent.name for path in (ROOT / "driftlake").glob("*/__init__.py")))
def test_a_package_says_what_it_may_import_and_what_does_not_belong_there(package: str) -> None:
    text = ast.get_docstring(ast.parse((ROOT / "driftlake" / package / "__init__.py").read_text())) or ""
    stated = re.search(r"^May import: ([^.]*)\.$", text, re.MULTILINE)
    assert stated is not None
    assert re.split(r",\s+", stated[1]) == allowed_imports(package)
    assert "Not here: " in text


@pytest.mark.parametrize("name", sorted(generated_pages()))
def test_generated_pages_are_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == generated_pages()[name](), "run `make docs`"


def test_the_catalog_has_exactly_the_tables_and_columns_that_are_described(tmp_path: Path) -> None:
    settings = write_project(tmp_path / "project", features=["x"], training={"x": [1.0]})
    with Warehouse.open(settings) as warehouse:
        described = warehouse.sql(
            "select table_name, column_name, comment, is_nullable from duckdb_columns()"
            " where database_name = 'lake' and table_name in (select table_name from duckdb_tables()"
            " where database_name = 'lake')"
        ).to_pylist()
        views = warehouse.sql("select view_name, comment from duckdb_views() where database_name = 'lake'").to_pylist()
    assert {(row["table_name"], row["column_name"], row["comment"], row["is_nullable"]) for row in described} == {
        (table.name, column.name, column.meaning, not column.is_required)
        for table in schema.tables()
        for column in table.columns
    }
    assert {(view["view_name"], view["comment"]) for view in views} == {(v.name, v.purpose) for v in schema.views()}


def test_the_questions_people_ask_first_have_a_view() -> None:
    wanted = {"latest_drift", "open_alerts", "quality_history", "backlog_by_age"}
    assert wanted <= {view.name for view in schema.views()}
