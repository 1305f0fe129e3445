"""How the days of a stage stand after a run: for logs, Dagster's metadata and the exit code.

Not here: the stages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from driftlake.config import Settings
from driftlake.lake import queries
from driftlake.lake.runs import INCOMPLETE
from driftlake.lake.warehouse import PartitionRun, Warehouse
from driftlake.nightly.isolation import Failure, Outcome
from driftlake.nightly.stages import DRIFT, MODEL_QUALITY, Work


@dataclass(frozen=True, slots=True)
class StageReport:
    """How the days of a stage stand, for logs, metadata and the exit code."""

    stage: str
    # in force after the stage, by day
    runs: Sequence[PartitionRun]
    # days that were left as an earlier run made them, because nothing they rest on changed
    unchanged: Collection[date] = ()
    failed_checks: Sequence[Mapping[str, Any]] = field(default_factory=list)
    # what the run found that concerns no single day, in sentences
    remarks: Sequence[str] = ()
    # days of which something failed, with the tracebacks
    failures: Sequence[Failure] = ()

    @property
    def refused(self) -> list[PartitionRun]:
        """Days of which not everything was counted: their input was refused, or they failed, in whole or in part."""
        return [run for run in self.runs if run.outcome in INCOMPLETE]


def report(
    work: Work,
    outcome: Outcome,
    *,
    failed_checks: Sequence[Mapping[str, Any]] = (),
    remarks: Sequence[str] = (),
) -> StageReport:
    """What was done together with what was left as it was."""
    in_force = sorted([*work.unchanged.values(), *outcome.runs], key=lambda run: run.dt)
    damaged = [f"{day}: stored rows were damaged and are computed again: {what}" for day, what in work.damaged.items()]
    return StageReport(
        work.stage,
        in_force,
        work.unchanged.keys(),
        failed_checks,
        [*damaged, *remarks],
        outcome.failures,
    )


def highlights_of(
    warehouse: Warehouse, settings: Settings, stage: str, days: Sequence[date]
) -> Mapping[date, Mapping[str, Any]]:
    """What a person wants to know of each day of a stage without a query, by name; nothing of a stage without sql/highlights."""
    if stage not in queries.names("highlights"):
        return {}
    windows = {
        DRIFT.name: {"window_days": settings.drift.headline_window_days},
        MODEL_QUALITY.name: {"window_days": settings.quality.headline_window_days},
    }
    rows = warehouse.query(f"highlights/{stage}", first_day=min(days), last_day=max(days), **windows.get(stage, {}))
    return {
        row["dt"]: {name: value for name, value in row.items() if name != "dt" and value is not None}
        for row in rows.to_pylist()
    }
