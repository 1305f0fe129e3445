"""The configured sources of input: their columns, and their files of the given days.

Not here: which sources there are (`driftlake.config.sources`), files and folders themselves (`driftlake.inputs.partitions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from driftlake.config import EXPLANATIONS, LABELS, OFFLINE_VALUES, Settings, Source
from driftlake.inputs.columns import (
    EXPLANATION_COLUMNS,
    LABEL_COLUMNS,
    OFFLINE_COLUMNS,
    CanonicalColumn,
    telemetry_columns,
)
from driftlake.inputs.partitions import Partition, read_partitions


def read_source(settings: Settings, source: Source, days: Sequence[date]) -> list[Partition]:
    """A source as it is delivered; nothing if there is none."""
    location = settings.location_of(source)
    if location is None:
        return []
    return read_partitions(
        location, days, columns_of(source, settings), settings.mapping_of(source), settings.partitioning_of(source)
    )


def columns_of(source: Source, settings: Settings) -> tuple[CanonicalColumn, ...]:
    """The canonical and configured columns of a daily source."""
    if source == LABELS:
        return LABEL_COLUMNS
    if source == EXPLANATIONS:
        return EXPLANATION_COLUMNS
    if source == OFFLINE_VALUES:
        return OFFLINE_COLUMNS
    telemetry = settings.telemetry
    return telemetry_columns(telemetry.segments, telemetry.latencies, telemetry.timezone)
