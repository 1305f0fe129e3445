"""A week of telemetry that drifted, with a day that is missing and one that is refused. Not here: its pages (test_reporting.py)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from data import MODEL, day, noon, write_day, write_project

from driftlake.config import Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage import lineage_files
from driftlake.nightly.derived import compare_days, measure_quality, raise_alerts
from driftlake.nightly.labels import count_labels
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.stages import new_context
from driftlake.report.pages import render_day
from driftlake.training import registration

MARKUP = "<script>alert(1)</script>"
CATEGORY = '<img src="x" onerror="alert(2)">'
# each of the first three would end the process in the renderer of charts
CONTROLS = "a\x1b[31mb\x00c\uffffd\u202ee\u2028f"
DAYS = 7
MISSING_DAY, REFUSED_DAY = DAYS + 1, DAYS + 2
ROWS = 300
ALERTS = [
    {
        "name": "feature-drift",
        "signal": "feature_drift.psi",
        "window_days": 7,
        "warn": 0.1,
        "critical": 0.25,
        "owner": "risk team",
        "runbook": "docs/drift.md",
    },
]


def columns(generator: np.random.Generator, income: float) -> dict[str, pa.Array]:
    return {
        "income": pa.array(generator.normal(income, 5, ROWS)),
        MARKUP: pa.array(generator.choice(["plain", CATEGORY, CONTROLS], ROWS).tolist()),
        "score": pa.array(generator.random(ROWS)),
    }


def predictions(number: int, generator: np.random.Generator) -> dict[str, pa.Array]:
    """A day on which income has moved by two of its standard deviations."""
    return {
        "correlation_id": pa.array([f"d{number}-{row}" for row in range(ROWS)]),
        "event_time": pa.array([noon(number)] * ROWS),
        **{name: pa.array([value] * ROWS) for name, value in MODEL.items()},
        **columns(generator, 60),
    }


@dataclass(frozen=True)
class Project:
    settings: Settings
    warehouse: Warehouse

    def page(self, number: int = DAYS) -> str:
        return render_day(self.warehouse, self.settings, day(number)).read_text()


def process(root: Path, *, has_labels: bool = True) -> Project:
    """A week of telemetry that drifted, one day without a file and one whose file is broken, all processed."""
    generator = np.random.default_rng(7)
    settings = write_project(
        root,
        features=["income", MARKUP],
        training=columns(generator, 50),
        alerts=ALERTS,
        **({} if has_labels else {"labels": None}),
    )
    for number in range(1, DAYS + 1):
        write_day(root / "telemetry", number, predictions(number, generator))
        labels = {
            "correlation_id": pa.array([f"d{number}-{row}" for row in range(100)]),
            "label": pa.array(generator.integers(0, 2, 100)),
        }
        write_day(root / "labels", number, labels)
    broken = root / "telemetry" / f"dt={day(REFUSED_DAY)}" / "part-0.parquet"
    broken.parent.mkdir()
    broken.write_text("no Parquet")
    warehouse = Warehouse.open(settings)
    registration.register(warehouse, settings, lineage_files.read_lineage_folder(settings))
    context = new_context(settings, "run-of-the-test")
    days = [day(number) for number in range(1, REFUSED_DAY + 1)]
    for stage in (profile_days, count_labels, compare_days, measure_quality):
        stage(warehouse, settings, context, days)
    raise_alerts(warehouse, settings, context, days)
    return Project(settings, warehouse)
