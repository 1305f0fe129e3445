"""The shell around the core function of every stage asset: find the days, explain failures, report counts, record the time.

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

# A run with this tag also processes days without changes. It is a tag, because a tag applies to every stage of a run
# and every run of a backfill; configuration would have to be repeated per asset.
FORCE_TAG = "driftlake/force"

# Metadata key of a day that says whether it was processed (done) or left alone (unchanged).
WORK = "work"

# Metadata key of a failure that means: everything was done, but some input was refused or a day failed.
REFUSED_INPUTS = "refused_inputs"

# Number of failed checks shown in the UI; the rest is in contract_checks.
_LISTED_CHECKS = 20


@contextmanager
def failures_explained() -> Iterator[None]:
    """Turn an error that the user can fix into a failure with the hint and without retries, which would not help."""
    try:
        yield
    except DriftlakeError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """Partition days of the run, in order."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def windows_read(stage: Stage, settings: Settings) -> list[dg.AssetDep]:
    """The earlier stages that a day of a stage reads, with the number of days before its own."""
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
    """Run a stage for the partitions of the run and attach the state of each partition."""
    days = days_of(context)
    with failures_explained(), observed_stage(context.asset_key.to_user_string(), days) as observed:
        identity = new_context(settings, context.run.run_id, is_forced=_is_forced(context))
        report = stage(warehouse, settings, identity, days)
        observed.update(outcome_of(report))
        highlights_by_day = highlights_of(warehouse, settings, report.stage, days)
    for run in report.runs:
        work = "unchanged" if run.dt in report.unchanged else "done"
        highlights = {
            name: printable(value) if isinstance(value, str) else value
            for name, value in highlights_by_day.get(run.dt, {}).items()
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
    """Log failures in full, because the traceback is needed to find a bug."""
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
    """The contract of the run's partitions as an asset check: one result that names the days that broke it."""
    errors = [check for check in report.failed_checks if check["severity"] == "error"]
    listed = [
        f"- {check['dt']} **{check['severity']}** {printable_markdown(check['expectation'])}:"
        f" {printable_markdown(check['message'])}"
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
