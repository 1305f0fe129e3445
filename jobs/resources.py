"""The resources of the assets: the settings, and the warehouse, which is opened once per run.

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
    """The warehouse, open for writing from the first stage of a run to the last: opening it costs more than a commit.

    It is opened before any stage runs, and only if the inputs can be reached. The time for which it is open is
    recorded as the run. Meanwhile the process is refused more memory than a command: Dagster opens resources in the
    process of the run, not in those of its UI, its daemon and its code location.
    """

    def opened(context: dg.InitResourceContext) -> Iterator[Warehouse]:
        require_places(settings.input_locations)
        run = (context.run.run_id, context.run.job_name) if context.run else ("", "")
        with memory_bounded_within(), observed_run(*run):
            bound_memory(settings)
            with Warehouse.open(settings) as warehouse:
                yield warehouse

    return dg.ResourceDefinition(contextmanager(opened), description="The DuckLake with the results.")
