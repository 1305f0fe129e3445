"""What every stage asset does around its one call of the core: name the days, explain failures, report counts.

Errors of the core become Dagster failures here and nowhere else. Not here: what a stage computes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

import dagster as dg

from driftlake.config import Settings
from driftlake.errors import DriftlakeError
from driftlake.nightly import StageReport, new_context
from driftlake.warehouse import RunContext, Warehouse

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


def run_stage(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    settings: Settings,
    stage: Callable[[Warehouse, Settings, RunContext, list[date]], StageReport],
) -> StageReport:
    """Run a stage for the partitions of the run and attach what happened to each of them."""
    with failures_explained():
        report = stage(warehouse, settings, new_context(settings, context.run.run_id), days_of(context))
    for run in report.runs:
        metadata = {"rows": run.row_count, "outcome": run.outcome, **report.highlights.get(run.dt, {})}
        if run.reason:
            metadata["reason"] = run.reason
        context.add_asset_metadata(metadata, partition_key=run.dt.isoformat())
    for run in report.refused:
        context.log.warning("%s: %s", run.dt, run.reason)
    return report


def contract_result(report: StageReport, check_name: str) -> dg.AssetCheckResult:
    """The contract of the run's partitions as an asset check: one result, naming the days that broke it."""
    errors = [check for check in report.failed_checks if check["severity"] == "error"]
    listed = [
        f"- {check['dt']} **{check['severity']}** {check['expectation']}: {check['message']}"
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
