"""Counts of predictions in `prediction_profile`, and the quality that is measured from stored counts.

Not here: what the quality should be (test_quality.py, test_classes.py).
"""

from __future__ import annotations

import pyarrow as pa
from data import GROUP, KEY, TRAINING_RUN, day, insert, model_version

from driftlake.config import QualitySettings
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import ModelVersion
from driftlake.quality import measures
from driftlake.quality.labelled_windows import QualityCounts, calibrations_of

# Score bins: without a score, below and above the grid, and two inside it.
MISSING, BELOW, ABOVE, LOW, HIGH = 0, 1, 2, 50, 150


def given_predictions(memory: Warehouse, *numbers: int, count: int = 1000) -> None:
    insert(memory.connection, "training_runs", [TRAINING_RUN])
    insert(
        memory.connection,
        "prediction_profile",
        [GROUP | {"dt": day(n), "bin_id": LOW, "row_count": count, "score_sum": 1.0} for n in numbers],
    )


def measured(
    memory: Warehouse,
    on: int,
    *,
    window: int = 7,
    last: int | None = None,
    version: ModelVersion | None = None,
    latest: bool = False,
) -> pa.Table:
    """Rows of model_quality of the days `on` to `last`."""
    span = {"first_day": day(on), "last_day": day(last or on), "windows_days": [window]}
    tables = [
        memory.query(f"quality/{name}", **span) for name in ("window_predictions", "quality_counts", "window_scores")
    ]
    correcting = {"is_latest": latest, "horizon_days": 30}
    known = memory.query("quality/known_labels", first_day=day(on - 89), last_day=day(last or on), **correcting)
    of_classes = [memory.query(f"quality/{name}", **span) for name in ("class_counts", "class_score_counts")]
    settings = QualitySettings(windows_days=(window,))
    versions = {KEY: version or model_version()}
    calibrations = calibrations_of(known, versions, settings)
    return measures.measure(QualityCounts(*tables, *of_classes), versions, calibrations, settings, {})
