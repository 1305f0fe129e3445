"""Sections about where results are written, when the nightly run begins, and what computes it.

Not here: the inputs (`driftlake.config.inputs`).
"""

from __future__ import annotations

import os
import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
    PositiveInt,
    model_validator,
)

from driftlake.config.base import Section, TimeZone

_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
_SPARK_MASTER = r"^(local(-cluster)?(\[.+\])?|spark://.+|yarn|k8s://.+)$"


def _on_this_machine(path: str) -> str:
    if "://" in path:
        raise ValueError(f"reports must be written to a local folder, found {path}: copy them from there")
    return path


class WarehouseSettings(Section):
    """The DuckLake that holds every result."""

    catalog: str = Field(
        default="sqlite:warehouse/catalog.sqlite",
        description="The catalog of the DuckLake: sqlite:FILE for one machine, or postgres:host=db.example.org "
        "dbname=driftlake "
        "user=driftlake, a connection string of PostgreSQL, for several (needs driftlake[postgres]; the password from "
        "PGPASSWORD or ~/.pgpass).",
    )
    data: str = Field(default="warehouse/data", description="Folder or s3:// prefix of the DuckLake's Parquet files.")
    snapshot_retention_days: PositiveInt | None = Field(
        default=400,
        description="Days for which rows can be read as they were written, with `at (version => n)` or the query "
        "of `driftlake explain`; `driftlake maintain` expires older snapshots. The default covers a yearly review of a model; null keeps all. The newest "
        "rows are always kept.",
    )
    file_grace_days: PositiveInt = Field(
        default=2,
        description="Days after which `driftlake maintain` deletes a file that no snapshot needs: longer than any run "
        "or query that may still read or write it.",
    )

    @model_validator(mode="after")
    def _catalog_is_supported(self) -> WarehouseSettings:
        kind = self.catalog.partition(":")[0]
        if kind not in {"sqlite", "postgres"}:
            raise ValueError(
                f"catalog must start with 'sqlite:' or 'postgres:', e.g. sqlite:warehouse/catalog.sqlite, found {kind}"
            )
        if kind == "postgres" and (re.search(r"passw(or)?d", self.catalog, re.IGNORECASE) or "://" in self.catalog):
            raise ValueError(
                "catalog: give a connection string of keys without a password, e.g. postgres:host=db dbname=driftlake;"
                " the password comes from PGPASSWORD or ~/.pgpass"
            )
        return self


class ReportSettings(Section):
    """Where reports are written."""

    path: Annotated[str, AfterValidator(_on_this_machine)] = Field(
        default="reports", description="Folder of the HTML pages, on this machine."
    )
    url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Web address under which the folder is served, e.g. https://driftlake.example.org: notices link "
        "to its pages.",
    )
    keep_days: PositiveInt | None = Field(
        default=400,
        description="Days after which `driftlake maintain` removes the pages of a day, counted from when they were "
        "drawn; null keeps all. `driftlake report` draws them again as long as the tables have the day.",
    )
    worst_features: PositiveInt = Field(
        default=6, description="Number of features whose distributions the page of a model draws."
    )
    smallest_cell: PositiveInt = Field(
        default=10,
        description="Smallest number of rows with which a category or segment is named on a page; with fewer it is "
        "counted as other, because few rows may identify a person. 1 names all.",
    )


class ScheduleSettings(Section):
    """When the nightly run starts. The time zone is also that of the partition days."""

    hour: int = Field(default=2, ge=0, le=23, description="Hour of the day at which yesterday is processed.")
    timezone: TimeZone = Field(default="UTC", description="IANA name, e.g. America/New_York.")
    late_days: int = Field(
        default=30,
        ge=0,
        description="Number of newest days that are checked for late and rewritten files, and run again if there are any; 0 for none.",
    )


class ComputeSettings(Section):
    """How much of the machine a run may use."""

    threads: PositiveInt = Field(
        default_factory=lambda: os.cpu_count() or 1, description="Threads; all cores if unset."
    )
    memory_limit: str = Field(
        default="2GB",
        pattern=r"^\d+(\.\d+)?\s*(MB|GB|TB)$",
        description="Memory limit of DuckDB, which spills to disk beyond it. Drift and quality take as many days and groups at "
        "once as "
        "fit into it; the process needs up to 1 GB in addition. On Linux, a command that asks for more than twice the limit and "
        "2 GB ends with a sentence.",
    )
    rows_per_chunk: PositiveInt = Field(
        default=5_000_000,
        description="Rows (of whole days) that one scan processes: limits memory, does not change results.",
    )
    partitions_per_run: PositiveInt = Field(
        default=400,
        description="Largest number of days of one Dagster run in a backfill. Starting a run takes seconds, a further day milliseconds.",
    )

    @property
    def memory_bytes(self) -> float:
        """`memory_limit` as a number."""
        number, unit = re.fullmatch(r"([\d.]+)\s*(\w+)", self.memory_limit).groups()  # type: ignore[union-attr]  # its pattern
        return float(number) * _UNITS[unit]


class SparkSettings(Section):
    """The cluster that `engine: spark` counts on."""

    master: Annotated[str, Field(pattern=_SPARK_MASTER)] = Field(
        default="local[*]",
        description="Spark master: local[2], spark://host:7077, yarn or k8s://https://host:443; its workers must be "
        "able to read the files.",
    )
    conf: dict[str, str] = Field(
        default_factory=dict, description="Settings of Spark itself, e.g. spark.executor.memory: 4g."
    )
    task_memory_limit: str = Field(
        default="512MB",
        pattern=r"^\d+(\.\d+)?\s*(MB|GB|TB)$",
        description="Memory limit of DuckDB in each task of a worker; beyond it, DuckDB spills to disk.",
    )
    rows_per_task: PositiveInt = Field(
        default=1_000_000,
        description="Rows that are joined or sorted in one task: limits memory, does not change results.",
    )
