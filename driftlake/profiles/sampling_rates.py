"""The rates at which days were counted: writing sampling_rates, and reading it for label cohorts.

sql/macros/is_in_sample.sql defines which rows are in a sample; it is applied where rows get their codes
(`driftlake.inputs.predictions`). Not here: the sample of fixed size for multivariate drift
(`driftlake.profiles.row_samples`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from pydantic_core import to_json

from driftlake.inputs.predictions import CodedRows
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class RatesOfDay:
    """The rates at which a day was counted, as an input of the labels of later days."""

    dt: date
    fingerprint: str


def rows(coded: CodedRows) -> pa.Table:
    """Rows of sampling_rates, one for each group of predictions."""
    width = len(coded.groups)
    prediction_counts = sum(coded.row_counts.values(), np.zeros(width, np.int64))
    sampled_counts = sum(coded.sampled_counts.values(), np.zeros(width, np.int64))
    found = [
        {
            "dt": group.dt,
            "model_id": group.model_id,
            "model_version": group.model_version,
            "deployment": group.deployment,
            "sampling_rate": rate,
            "prediction_count": predicted,
            "sampled_count": sampled,
        }
        for group, rate, predicted, sampled in zip(
            coded.groups, coded.sampling_rates, prediction_counts.tolist(), sampled_counts.tolist(), strict=True
        )
        # the group has only rows that do not count
        if predicted
    ]
    return pa.Table.from_pylist(found, schema=arrow_schema("sampling_rates"))


def counted_rates(warehouse: Warehouse, days: Sequence[date]) -> pa.Table:
    """Rates of the days between the first and the last of `days` that were sampled: rows of sql/labels/counted_rates.sql."""
    return warehouse.query("labels/counted_rates", first_day=min(days), last_day=max(days))


def rates_of_days(counted: pa.Table, days: Sequence[date]) -> list[RatesOfDay]:
    """What each day contributes to the fingerprint of a stage that reads `counted`; nothing if it was counted completely."""
    of_days: dict[date, list[dict[str, object]]] = {day: [] for day in days}
    for row in counted.to_pylist():
        of_days[row["dt"]].append(row)
    return [
        RatesOfDay(day, hashlib.sha256(to_json(found)).hexdigest() if found else "") for day, found in of_days.items()
    ]
