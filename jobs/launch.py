"""Starts runs of the nightly job from a terminal, in the same Dagster instance that the UI shows.

Not here: what a terminal prints (`driftlake.cli.running`).
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterEvent, DagsterEventType
from filelock import FileLock

from assets.stage import FORCE_TAG, REFUSED_INPUTS, WORK
from driftlake.config import Settings
from driftlake.errors import DriftlakeError
from driftlake.lake.faults import explained
from driftlake.lake.whole_files import replaced_whole
from jobs.abandoned import end_abandoned_runs, held_by_this_process
from jobs.definitions import build_definitions
from jobs.nightly import NIGHTLY, RANGE_END, RANGE_START

# Switch off Dagster's telemetry, and its request for an email address.
_INSTANCE_SETTINGS = "telemetry: {enabled: false}\nnux: {enabled: false}\n"

_OUR_ERRORS = {kind.__name__ for kind in DriftlakeError.__subclasses__()}

# Called with the asset, the partition if it has one, and whether it was done or unchanged.
OnMaterialized = Callable[[str, str | None, str | None], None]


def prepare_instance(settings: Settings) -> Path:
    """Create the instance folder if it does not exist, and make Dagster use it. Returns the folder."""
    home = settings.dagster_home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    instance_settings = home / "dagster.yaml"
    if not instance_settings.exists():
        # an empty file, left by a full disk, would switch Dagster's telemetry on
        with replaced_whole(instance_settings) as temporary:
            temporary.write_text(_INSTANCE_SETTINGS)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@dataclass(frozen=True, slots=True)
class LaunchFailure:
    """Why a run failed; `is_refusal` if everything that could be done was done and only some input was refused or failed."""

    message: str
    is_refusal: bool
    # messages of the failed steps, in full
    trace: str = ""


def launch(
    settings: Settings,
    days: Sequence[date],
    on_materialized: OnMaterialized,
    on_error: Callable[[str], None] = lambda _: None,
    *,
    is_forced: bool = False,
) -> LaunchFailure | None:
    """Run the nightly job for consecutive days in this process; a forced run also processes days without changes.

    `on_materialized` is called for every materialization, `on_error` for every failure with its traceback. Returns why the run failed, None if it succeeded.
    """
    home = prepare_instance(settings)
    definitions = build_definitions(settings, loggers={"progress": _progress_logger(on_materialized, on_error)})
    job = definitions.resolve_job_def(NIGHTLY)
    # The first process that opens Dagster's SQLite storage creates it; two processes at once would both fail.
    with FileLock(home / "instance.lock"):
        instance = dg.DagsterInstance.get()
    with instance:
        end_abandoned_runs(instance, NIGHTLY)
        with held_by_this_process(instance) as tags:
            result = job.execute_in_process(
                instance=instance,
                run_config={"loggers": {"progress": {}}},
                raise_on_error=False,
                **selected(days, tags | ({FORCE_TAG: "true"} if is_forced else {})),
            )
        return None if result.success else _explained(result.all_events)


def partitioned_asset_count(settings: Settings) -> int:
    """Number of assets of the job with a partition per day."""
    assets = build_definitions(settings).resolve_asset_graph()
    return sum(1 for key in assets.materializable_asset_keys if assets.get(key).partitions_def)


def selected(days: Sequence[date], tags: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Arguments of `execute_in_process` for the partitions of consecutive days, with further tags of the run."""
    if len(days) == 1:
        return {"partition_key": days[0].isoformat(), "tags": dict(tags or {})}
    return {"tags": {RANGE_START: days[0].isoformat(), RANGE_END: days[-1].isoformat(), **(tags or {})}}


def _explained(events: Sequence[DagsterEvent]) -> LaunchFailure:
    """The sentence of each failed step, or the reason that the run did not start."""
    failed = [event for event in events if event.event_type == DagsterEventType.STEP_FAILURE]
    if failed:
        message = "\n".join(map(_step_message, failed))
        errors = [event.step_failure_data.error for event in failed if not _is_refusal(event)]
        traces = [error.to_string() for error in errors if error]
        return LaunchFailure(message, is_refusal=all(map(_is_refusal, failed)), trace="\n".join(traces))
    ends = [event.job_failure_data.error for event in events if event.event_type == DagsterEventType.RUN_FAILURE]
    return LaunchFailure("\n".join(map(_root_cause, ends)) or "the run failed", is_refusal=False)


def _is_refusal(event: DagsterEvent) -> bool:
    """Whether a step did all of its work and failed only to report refused or failed input."""
    failure = event.step_failure_data.user_failure_data
    return failure is not None and REFUSED_INPUTS in failure.metadata


def _step_message(event: DagsterEvent) -> str:
    failure = event.step_failure_data
    described = failure.user_failure_data and failure.user_failure_data.description
    return described or f"step {event.step_key} failed: {_root_cause(failure.error)}"


def _root_cause(error: Any) -> str:
    """The message of driftlake's own error if there is one in the chain of causes, else of the innermost exception."""
    chain = []
    while error:
        chain.append(error)
        error = error.cause
    ours = [link for link in chain if link.cls_name in _OUR_ERRORS]
    if ours:
        # Dagster puts the class name before the message
        return str(ours[0].message).strip().partition(": ")[2]
    if not chain:
        return "no reason was given"
    innermost = str(chain[-1].message).strip()
    fault = explained(Exception(innermost))
    return str(fault) if fault else innermost


def _progress_logger(on_materialized: OnMaterialized, on_error: Callable[[str], None]) -> dg.LoggerDefinition:
    """A logger that prints nothing, and calls `on_materialized` for each materialization and `on_error` for each failure."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            event = getattr(record, "dagster_event", None)
            if event is None and record.levelno >= logging.ERROR:
                on_error(getattr(record, "dagster_meta")["orig_message"])  # noqa: B009  # Dagster adds it
            if event is not None and event.event_type == DagsterEventType.ASSET_MATERIALIZATION:
                work = event.step_materialization_data.materialization.metadata.get(WORK)
                on_materialized(event.asset_key.to_user_string(), event.partition, work and str(work.value))

    def progress(_context: dg.InitLoggerContext) -> logging.Logger:
        # not a named logger, because Dagster sends it every event and no other handler must get them
        logger = logging.Logger("driftlake.progress", level=logging.DEBUG)  # noqa: LOG001
        logger.addHandler(Handler())
        return logger

    return dg.LoggerDefinition(progress, description="Counts materializations for a progress bar.")
