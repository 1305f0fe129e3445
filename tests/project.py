"""A project on disk: tests fill it with telemetry and labels, damage its files, and run it night by night.

Not here: what a night should do (test_nightly.py, test_stages.py).
"""

from __future__ import annotations

import copy
import pickle
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pytest
import yaml
from data import day, noon, write_day, write_project

from driftlake.config import Settings, load_settings
from driftlake.inputs.partitions import days_between
from driftlake.lake import duckdb_extensions, schema
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.nightly.derived import compare_days, measure_quality, measure_slos, raise_alerts
from driftlake.nightly.labels import count_labels
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.stage_report import StageReport
from driftlake.nightly.stages import new_context
from driftlake.training.registration import register
from expectations.contracts import contracts

# Tables whose rows contain the run that wrote them and the time.
RUN_TABLES = {"partition_runs", "schema_versions", "training_runs"}
ROWS = 300
STAGES: dict[str, Callable[..., StageReport]] = {
    "profiles": profile_days,
    "label_cohorts": count_labels,
    "drift": compare_days,
    "model_quality": measure_quality,
    "slos": measure_slos,
    "alerts": raise_alerts,
}

CHECKED_STAGES = ("profiles", "label_cohorts")


class Project:
    """A project of one model with a number and a category as features, telemetry and labels for some days.

    `training` replaces columns of the training data, or adds a feature; `lineage` adds to the lineage file.
    """

    def __init__(
        self,
        root: Path,
        *,
        training: Mapping[str, Any] | None = None,
        lineage: Mapping[str, Any] | None = None,
        **sections: Any,
    ) -> None:
        generator = np.random.default_rng(7)
        count = _length(training or {}, 2000)
        columns = {
            "x": generator.normal(size=count),
            "colour": generator.choice(["red", "blue"], count),
            "score": generator.random(count),
        } | dict(training or {})
        features = [name for name in columns if name != "score"]
        self.root = root
        self.settings: Settings = _registered(root, features=features, training=columns, lineage=lineage, **sections)

    def telemetry(self, number: int, *, name: str = "part-0", **changes: Any) -> Path:
        """Write a file of predictions; `changes` replace columns, None leaves one out."""
        generator = np.random.default_rng(number % 1000)
        count = _length(changes, ROWS)
        columns = {
            "correlation_id": [f"d{number}-{row}" for row in range(count)],
            "event_time": [noon(number)] * count,
            "model_id": ["credit"] * count,
            "model_version": ["v1"] * count,
            "score": generator.random(count),
            "x": generator.normal(size=count),
            "colour": generator.choice(["red", "blue"], count),
        } | changes
        kept = {name: values for name, values in columns.items() if values is not None}
        return write_day(self.root / "telemetry", number, kept, name=name)

    def labels(self, number: int, predicted: int | None = None, **changes: Any) -> Path:
        """Write the labels that arrive on day `number` for the predictions of day `predicted`."""
        generator = np.random.default_rng(100 + number)
        columns = {
            "correlation_id": [f"d{predicted or number}-{row}" for row in range(ROWS)],
            "label": generator.integers(0, 2, ROWS),
        } | changes
        kept = {name: values for name, values in columns.items() if values is not None}
        return write_day(self.root / "labels", number, kept)

    def configure(self, **sections: Any) -> None:
        """Change sections of driftlake.yaml."""
        path = self.root / "driftlake.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))
        self.settings = load_settings(path)

    def register(self, model_version: str, **changes: Any) -> None:
        """Register another version of the model, trained on the same data; `changes` replace keys of its lineage."""
        lineage = yaml.safe_load((self.root / "lineage" / "credit-v1.yaml").read_text())
        changed = lineage | {"model_version": model_version} | changes
        (self.root / "lineage" / f"credit-{model_version}.yaml").write_text(yaml.safe_dump(changed))
        with Warehouse.open(self.settings) as warehouse:
            register(warehouse, self.settings, read_lineage_folder(self.settings))

    def run(
        self,
        first: int,
        last: int,
        *,
        is_forced: bool = False,
        since: str = "profiles",
        until: str = "alerts",
        is_checked: bool = False,
    ) -> list[StageReport]:
        """The stages for the days from `first` to `last`, all of them or those from `since` up to `until`.

        Contracts import Great Expectations, which is slow, so they are checked only on request.
        """
        days = days_between(day(first), day(last))
        context = new_context(self.settings, "test", is_forced=is_forced)
        names = list(STAGES)[list(STAGES).index(since) : list(STAGES).index(until) + 1]
        checked = {"contracts": contracts(self.settings)} if is_checked else {}
        with Warehouse.open(self.settings) as warehouse:
            return [
                STAGES[name](warehouse, self.settings, context, days, **(checked if name in CHECKED_STAGES else {}))
                for name in names
            ]

    def measure(self, first: int, last: int) -> None:
        """The stages that count labels and measure quality; they do not read drift tables."""
        self.run(first, last, until="label_cohorts")
        self.run(first, last, since="model_quality", until="model_quality")

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a query, as tuples."""
        with Warehouse.open(self.settings, read_only=True) as warehouse:
            return warehouse.connection.execute(query, values).fetchall()

    def contents(self, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of some tables, or of every result table; only the current input files, without run and time."""
        names = tables or [table.name for table in schema.tables() if table.name not in RUN_TABLES]
        files = "(select dt, source, path, content_fingerprint, outcome, reason from current_input_files)"
        with Warehouse.open(self.settings, read_only=True) as warehouse:
            # DuckLake looks the catalog up once for each transaction
            warehouse.connection.execute("begin")
            queries = {name: f"from {files if name == 'input_files' else name}" for name in names}
            return {
                name: sorted(warehouse.connection.execute(query).fetchall(), key=repr)
                for name, query in queries.items()
            }


# Projects with a newly registered version, cached by their arguments because most tests use the same.
_made: dict[bytes, Path] = {}
_folder_of_made = TemporaryDirectory(prefix="driftlake-projects-")


def _registered(root: Path, **what: Any) -> Settings:
    """A project folder with a registered version: a copy of a cached one if there is one with the same arguments."""
    made = _made.get(of_what := pickle.dumps(what))
    if made is not None:
        shutil.copytree(made, root)
        _move(root)
        return load_settings(root / "driftlake.yaml")
    settings = write_project(root, **what)
    with Warehouse.open(settings) as warehouse:
        register(warehouse, settings, read_lineage_folder(settings))
    if "warehouse" not in what:
        _made[of_what] = Path(shutil.copytree(root, Path(_folder_of_made.name) / str(len(_made))))
    return settings


def _move(root: Path) -> None:
    """Update the paths of data and training data in the catalog of a copied project."""
    with closing(sqlite3.connect(root / "warehouse" / "catalog.sqlite")) as connection, connection:
        [(data,)] = connection.execute("select value from ducklake_metadata where key = 'data_path'")
        moved = [str(Path(data).parents[1]), str(root)]
        connection.execute("update ducklake_metadata set value = replace(value, ?, ?) where key = 'data_path'", moved)
        [(rows,)] = connection.execute(
            "select i.table_name from ducklake_inlined_data_tables as i inner join ducklake_table as t using (table_id)"
            " where t.table_name = 'training_runs'"
        )
        connection.execute(f"update {rows} set training_data = replace(training_data, ?, ?)", moved)


def _length(columns: Mapping[str, Any], default: int) -> int:
    """Rows of the first of these columns that exists."""
    return next((len(values) for values in columns.values() if values is not None), default)


def kept(project: Project, state: str = "kept") -> Project:
    """A project whose files were saved, so that `restored` can restore them; it may have several states."""
    shutil.copytree(project.root, _kept_files(project, state))
    return project


def restored(project: Project, state: str = "kept") -> Project:
    """A saved project with all its files as they were: the same paths and times of modification."""
    shutil.rmtree(project.root)
    shutil.copytree(_kept_files(project, state), project.root)
    return copy.copy(project)


def _kept_files(project: Project, state: str) -> Path:
    return project.root.with_name(f"{project.root.name} {state}")


def outcomes(report: StageReport) -> dict[date, str]:
    return {run.dt: run.outcome for run in report.runs}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def break_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[8:400] = b"\xff" * 392
    path.write_bytes(content)


def without_wheels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no DuckDB extension were installed or could be downloaded."""
    nowhere = {"extension_directory": str(folder), "custom_extension_repository": "http://127.0.0.1:9"}
    monkeypatch.setattr(duckdb, "connect", partial(duckdb.connect, config=nowhere))
    monkeypatch.setattr(duckdb_extensions, "find_spec", lambda _: None)
