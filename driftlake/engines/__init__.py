"""Engines that count telemetry and labels: this machine, or a Spark cluster. Every engine gives the same rows.

May import: profiles, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: what is counted (`driftlake.profiles.plan`, `driftlake.nightly.label_source`) and storing the rows
(`driftlake.nightly`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import duckdb
import pyarrow as pa

from driftlake.config import Settings
from driftlake.inputs.partitions import Partition
from driftlake.inputs.predictions import LeftOut
from driftlake.lineage.versions import ModelVersion
from driftlake.profiles.label_join import Delivered, LabelJoin
from driftlake.profiles.rows import Profiles


class Engine(Protocol):
    """The functions of an engine that the stages of a run call."""

    def profile_partitions(
        self,
        connection: duckdb.DuckDBPyConnection,
        settings: Settings,
        partitions: Sequence[Partition],
        versions: Mapping[tuple[str, str], ModelVersion],
        left_out: LeftOut | None = None,
    ) -> Profiles:
        """Profile partitions, without what is left out; `connection` has the view `predictions` of all of them."""

    def join_labels(
        self, connection: duckdb.DuckDBPyConnection, settings: Settings, join: LabelJoin, delivered: Delivered, /
    ) -> Mapping[str, pa.Table]:
        """Rows of `LabelJoin.sums` for all delivered labels and predictions."""


def engine_of(settings: Settings) -> Engine:
    """The configured engine. Raises EngineError if something that it needs is missing."""
    if settings.engine == "spark":
        from driftlake.engines import cluster, spark

        cluster.require(settings.spark)
        return spark
    from driftlake.engines import local

    return local
