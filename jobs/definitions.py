"""Everything Dagster knows of driftlake, assembled in one place. Importing this module reads nothing."""

import warnings
from collections.abc import Mapping

import dagster as dg

# Backfill policies are beta in 1.13; the version is pinned, so the warning tells our users nothing.
warnings.filterwarnings("ignore", category=dg.BetaWarning)

from assets import build_assets  # noqa: E402  # the filter has to come first
from driftlake.config import Settings, load_settings  # noqa: E402
from jobs.nightly import nightly_definitions  # noqa: E402


def build_definitions(
    settings: Settings, *, loggers: Mapping[str, dg.LoggerDefinition] | None = None
) -> dg.Definitions:
    """The definitions for one configuration; `loggers` replaces the console logger."""
    graph = dg.Definitions(
        assets=build_assets(settings),
        resources={"settings": settings},
        # DuckDB uses every core already, and a process per step costs seconds each.
        executor=dg.in_process_executor,
        loggers=loggers,
    )
    return dg.Definitions.merge(graph, nightly_definitions(settings))


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of the driftlake.yaml in force."""
    return build_definitions(load_settings())
