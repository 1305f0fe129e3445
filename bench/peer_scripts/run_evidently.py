"""Evidently: the PSI of every column, by its drift preset. It keeps no profile: the sample is binned with each day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from frames import NUMERIC, TEXT, time_frames


def prepare(training: Any) -> Callable[[Any], object]:
    definition = DataDefinition(numerical_columns=NUMERIC, categorical_columns=TEXT)
    reference = Dataset.from_pandas(training, data_definition=definition)

    def work(current: Any) -> object:
        dataset = Dataset.from_pandas(current, data_definition=definition)
        return Report([DataDriftPreset(method="psi")]).run(dataset, reference).dict()

    return work


if __name__ == "__main__":
    time_frames("evidently", prepare)
