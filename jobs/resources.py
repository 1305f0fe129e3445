"""The resource of the assets: the warehouse, which is opened once per run.

Not here: how a warehouse is opened (`driftlake.lake.warehouse`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from driftlake.config import Settings
from driftlake.lake.process_memory import bound_memory, memory_bounded_within
from driftlake.lake.s3 import require_places
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.otel import observed_run


def warehouse_resource(settings: Settings) -> dg.ResourceDefinition:
    """The warehouse, open for writing during all stages of a run, because opening it costs more than a commit.

    It is opened before the first stage, and only if the inputs can be reached. For OpenTelemetry, the time for which it is
    open is the duration of the run. While it is open, the memory of the process is limited as that of a command is. This
    affects only runs: Dagster opens resources in the process of a run, not in its UI, its daemon or its code location.
    """

    def opened(context: dg.InitResourceContext) -> Iterator[Warehouse]:
        require_places(settings.input_locations)
        run = (context.run.run_id, context.run.job_name) if context.run else ("", "")
        with memory_bounded_within(), observed_run(*run):
            bound_memory(settings)
            with Warehouse.open(settings) as warehouse:
                yield warehouse

    return dg.ResourceDefinition(contextmanager(opened), description="The DuckLake with the results.")
