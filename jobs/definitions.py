"""All Dagster definitions of driftlake, assembled in one place. Importing this module reads nothing.

Not here: jobs, schedules and sensors themselves (their own modules), and assets (`assets`).
"""

import warnings
from collections.abc import Mapping

import dagster as dg

from assets import build_assets
from driftlake.config import Settings, load_settings
from jobs.maintenance import maintenance_definitions
from jobs.nightly import nightly_definitions
from jobs.resources import warehouse_resource
from jobs.sensors import late_files_sensor


def build_definitions(
    settings: Settings, *, loggers: Mapping[str, dg.LoggerDefinition] | None = None
) -> dg.Definitions:
    """The definitions for one configuration; `loggers` replaces the console logger."""
    with warnings.catch_warnings():
        # Backfill policies are beta in 1.13; the version is pinned, so the warning does not concern users.
        warnings.simplefilter("ignore", dg.BetaWarning)
        assets = build_assets(settings)
    graph = dg.Definitions(
        assets=assets,
        resources={"settings": settings, "warehouse": warehouse_resource(settings)},
        # DuckDB already uses every core, and a process per step would cost seconds each.
        executor=dg.in_process_executor,
        loggers=loggers,
    )
    sensors = dg.Definitions(sensors=[late_files_sensor(settings)])
    return dg.Definitions.merge(graph, nightly_definitions(settings), maintenance_definitions(settings), sensors)


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions for the configured driftlake.yaml."""
    return build_definitions(load_settings())
