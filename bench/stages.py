"""Runs every stage over the days of a project in this process. Not here: projects, and evaluating the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from driftlake.config import Settings
from driftlake.inputs.partitions import days_between
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.nightly.derived import compare_days, measure_quality, measure_slos, raise_alerts
from driftlake.nightly.labels import count_labels
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.stages import new_context
from driftlake.training.registration import register
from expectations.contracts import contracts


def run(settings: Settings, first_day: date, last_day: date) -> None:
    """Register the versions, then run every stage over all days; unchanged days are skipped."""
    days = days_between(first_day, last_day)
    context = new_context(settings, "bench")
    stages: Sequence[Callable[..., Any]] = (compare_days, measure_quality, measure_slos, raise_alerts)
    with Warehouse.open(settings) as warehouse:
        register(warehouse, settings, read_lineage_folder(settings))
        profile_days(warehouse, settings, context, days, contracts(settings))
        count_labels(warehouse, settings, context, days, contracts(settings))
        for stage in stages:
            stage(warehouse, settings, context, days)
