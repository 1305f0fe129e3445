"""A value computed with repeated correlation ids has a remark."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from data import day
from project import ROWS, Project

from driftlake.quality.measures import with_repetition_remarks

REASON = (
    "correlation ids repeat, so labels may be about other predictions: {:.1%} of all predictions repeat an id of "
    "their day,"
    " {:.1%} of all labels match predictions of several days"
)


def test_only_values_measured_from_labels_get_the_reason() -> None:
    rows = pa.table(
        {
            "dt": [day(1)] * 4,
            "window_days": [1, 7, 7, 7],
            "statistic": ["auc", "auc", "estimated_auc", "log_loss"],
            "outcome": ["measured", "measured", "measured", "insufficient_data"],
            "reason": pa.array([None, None, None, "no labels yet"]),
        }
    )
    shares = {"repeated_prediction_share": [0.5], "ambiguous_label_share": [0.0]}
    found = with_repetition_remarks(rows, pa.table({"dt": [day(1)], "window_days": [7], **shares}))
    assert found["reason"].to_pylist() == [None, REASON.format(0.5, 0), None, "no labels yet"]


def test_an_auc_of_two_predictions_per_id_has_a_remark(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", quality={"windows_days": [1]})
    ids = [f"d1-{row // 2}" for row in range(ROWS)]
    project.telemetry(1, correlation_id=ids)
    project.labels(1, correlation_id=ids[::2], label=[0, 1] * (ROWS // 4))
    project.run(1, 1, until="model_quality", is_checked=True)
    assert project.rows("select outcome, reason from model_quality where statistic = 'auc'") == [
        ("measured", REASON.format(0.5, 0))
    ]


def test_an_auc_of_a_daily_id_without_prediction_on_has_a_remark(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", quality={"windows_days": [1]})
    ids = [f"customer-{row}" for row in range(ROWS)]
    for number in (1, 2):
        project.telemetry(number, correlation_id=ids)
    project.labels(2, correlation_id=ids)
    project.run(1, 2, until="model_quality", is_checked=True)
    assert project.rows("select dt, label_count, reason from model_quality where statistic = 'auc' order by dt") == [
        (day(1), 0, "no labels have arrived for the window"),
        (day(2), ROWS, REASON.format(0, 1)),
    ]
