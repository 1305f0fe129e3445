"""The report: the pages of the last day of the run and the index.

Unpartitioned, because pages take longer to write than a day to compute; `driftlake report` draws any other day.
This is the last asset of a run, so it fails if input was refused or a day failed, after everything else is done.
Not here: drawing pages (`driftlake.report`).
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from assets.stage import REFUSED_INPUTS, failures_explained, log_failures
from driftlake.config import Settings
from driftlake.lake.runs import incomplete_between, newest_day, was_checked_by
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.isolation import Failure, caught
from driftlake.report import data_docs
from driftlake.report.pages import render_day, render_index
from driftlake.training.registration import register_folder
from driftlake.vocabulary.wording import counted, printable
from expectations.contracts import contracts

_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_PARTITION = "dagster/partition"


@dg.asset(
    group_name="action",
    deps=["alerts"],
    output_required=False,
    description="HTML pages for the last day of the run, one for each model if it has several, and the index of all pages.",
)
def report(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
) -> Iterator[dg.MaterializeResult]:
    span = _days_of(context.run)
    failures: list[Failure] = []
    with failures_explained():
        last = span[1] if span else newest_day(warehouse)
        if (
            settings.contracts.enabled
            and settings.contracts.data_docs
            and was_checked_by(warehouse, last, context.run.run_id)
        ):
            data_docs.publish(warehouse, settings, last)
        pages: dict[str, dg.MetadataValue[str]] = {}
        with caught("report", last, failures):
            pages["page"] = dg.MetadataValue.url(render_day(warehouse, settings, last).as_uri())
        with caught("index", last, failures):
            pages["index"] = dg.MetadataValue.url(render_index(warehouse, settings).as_uri())
        # a day that was left unchanged fails the run again if it failed the run before
        incomplete = incomplete_between(warehouse, *span) if span else []
        lineage = register_folder(warehouse, settings, contracts(settings)).refused
    log_failures(context, failures)
    yield dg.MaterializeResult(metadata=pages)
    reasons = [f"{run['dt']} ({run['stage']}, {run['outcome']}): {run['reason']}" for run in incomplete]
    reasons += [f"{failure.dt} ({failure.stage}, failed): {failure.reason}" for failure in failures]
    reasons += [f"lineage: {error}" for error in lineage]
    if reasons:
        named = printable("\n".join(reasons))
        hint = "hint: stored rows are kept; correct the input, then backfill from that day to today"
        raise dg.Failure(
            description=f"done, but {counted(len(reasons), 'input')} {'was' if len(reasons) == 1 else 'were'} refused"
            f" or failed:\n{named}\n{hint}",
            metadata={REFUSED_INPUTS: len(reasons)},
            allow_retries=False,
        )


def _days_of(run: dg.DagsterRun) -> tuple[date, date] | None:
    """First and last partition day of a run, which the unpartitioned report cannot get from its own partitions."""
    first = run.tags.get(_RANGE_START) or run.tags.get(_PARTITION)
    last = run.tags.get(_RANGE_END) or run.tags.get(_PARTITION)
    return (date.fromisoformat(first), date.fromisoformat(last)) if first and last else None
