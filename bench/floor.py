"""Dagster's own cost: runs the graph of driftlake with assets that do nothing.

`python -m bench.floor CONFIG FIRST LAST`
"""

from __future__ import annotations

import sys
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from driftlake.config import Settings, load_settings
from driftlake.inputs.partitions import days_between
from jobs.definitions import build_definitions
from jobs.launch import prepare_instance, selected

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def idle_definitions(settings: Settings) -> dg.Definitions:
    """Assets with the keys, dependencies, partitions and policies of the real ones."""
    graph = build_definitions(settings).resolve_asset_graph()
    real = [graph.get(key) for key in graph.toposorted_asset_keys if key in graph.materializable_asset_keys]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        assets = [_idle_asset(node) for node in real]
    return dg.Definitions(assets=assets, jobs=[dg.define_asset_job("idle")], executor=dg.in_process_executor)


def _idle_asset(node: Any) -> dg.AssetsDefinition:
    @dg.asset(
        name=node.key.to_user_string(),
        deps=[key for key in node.parent_keys if key != node.key],
        partitions_def=node.partitions_def,
        backfill_policy=node.backfill_policy,
    )
    def idle() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"rows": 0, "outcome": "complete"})

    return idle


def main(config: str, first: str, last: str) -> None:
    settings = load_settings(Path(config))
    prepare_instance(settings)
    job = idle_definitions(settings).resolve_job_def("idle")
    days = days_between(date.fromisoformat(first), date.fromisoformat(last))
    with dg.DagsterInstance.get() as instance:
        job.execute_in_process(instance=instance, run_config=_QUIET, **selected(days))


if __name__ == "__main__":
    main(*sys.argv[1:])
