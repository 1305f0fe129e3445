"""What every stage asset does around its one call of the core: name the days, explain failures, report counts, record its time.

Errors of the core become Dagster failures here and nowhere else. Not here: what a stage computes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import dagster as dg

from driftlake.config import Settings
from driftlake.errors import ConfigurationError, DriftlakeError
from driftlake.lake.warehouse import RunContext, Warehouse
from driftlake.nightly.isolation import Failure
from driftlake.nightly.otel import observed_stage, outcome_of
from driftlake.nightly.stage_report import StageReport, highlights_of
from driftlake.nightly.stages import Stage, new_context
from driftlake.vocabulary.wording import printable, printable_markdown

# A run with this tag works on days that did not change, too. A tag, because it reaches every stage of a run and every run
# of a backfill, where configuration would have to be repeated per asset.
FORCE_TAG = "driftlake/force"

# Name of the metadata of a day that says whether it was worked on (done) or left alone (unchanged).
WORK = "work"

# Name of the metadata of a failure that says: everything was done, but some input was refused or failed.
REFUSED_INPUTS = "refused_inputs"

# Failed checks a person reads in the UI; the rest is in contract_checks.
_LISTED_CHECKS = 20


@contextmanager
def failures_explained() -> Iterator[None]:
    """Turn an error that the user can mend into a failure that says how; trying again would not help."""
    try:
        yield
    except DriftlakeError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """Partition days of the run, in order."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def windows_read(stage: Stage, settings: Settings) -> list[dg.AssetDep]:
    """The earlier stages that a day of a stage reads, with the days before its own on which it looks."""
    return [
        dg.AssetDep(name, partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-reach_days, end_offset=0))
        for name, reach_days in stage.reads(settings).items()
    ]


def run_stage(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    settings: Settings,
    stage: Callable[[Warehouse, Settings, RunContext, list[date]], StageReport],
) -> StageReport:
    """Run a stage for the partitions of the run and attach how each of them stands."""
    days = days_of(context)
    with failures_explained(), observed_stage(context.asset_key.to_user_string(), days) as observed:
        identity = new_context(settings, context.run.run_id, is_forced=_is_forced(context))
        report = stage(warehouse, settings, identity, days)
        observed.update(outcome_of(report))
        told = highlights_of(warehouse, settings, report.stage, days)
    for run in report.runs:
        work = "unchanged" if run.dt in report.unchanged else "done"
        highlights = {
            name: printable(value) if isinstance(value, str) else value for name, value in told.get(run.dt, {}).items()
        }
        metadata = {"rows": run.row_count, "outcome": run.outcome, WORK: work, **highlights}
        if run.reason:
            metadata["reason"] = printable(run.reason)
        context.add_asset_metadata(metadata, partition_key=run.dt.isoformat())
    for run in report.refused:
        context.log.warning("%s: %s", run.dt, printable(run.reason or ""))
    for remark in report.remarks:
        context.log.warning(printable(remark))
    log_failures(context, report.failures)
    return report


def log_failures(context: dg.AssetExecutionContext, failures: Sequence[Failure]) -> None:
    """Say in full what failed: its traceback is what a bug is found by."""
    for failure in failures:
        context.log.error(
            "%s (%s): %s\n%s", failure.dt, failure.stage, printable(failure.reason), printable(failure.trace)
        )


def _is_forced(context: dg.AssetExecutionContext) -> bool:
    value = context.run.tags.get(FORCE_TAG, "false").lower()
    if value not in {"true", "false"}:
        raise ConfigurationError(f"tag {FORCE_TAG} is '{value}', expected true or false")
    return value == "true"


def contract_result(report: StageReport, check_name: str) -> dg.AssetCheckResult:
    """The contract of the run's partitions as an asset check: one result, naming the days that broke it."""
    errors = [check for check in report.failed_checks if check["severity"] == "error"]
    listed = [
        f"- {check['dt']} **{check['severity']}** {check['expectation']}: {printable_markdown(check['message'])}"
        for check in report.failed_checks[:_LISTED_CHECKS]
    ]
    return dg.AssetCheckResult(
        check_name=check_name,
        passed=not report.failed_checks,
        severity=dg.AssetCheckSeverity.ERROR if errors else dg.AssetCheckSeverity.WARN,
        metadata={
            "failed": len(report.failed_checks),
            "days": ", ".join(sorted({str(check["dt"]) for check in report.failed_checks})) or "none",
            "what": dg.MetadataValue.md("\n".join(listed) or "every expectation was met"),
        },
    )
