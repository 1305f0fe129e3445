"""SHAP values that are delivered as sums: files of sums become rows of importance_profile.

Not here: values per prediction (`driftlake.profiles.shap_sums`), and comparing the sums (`driftlake.drift.importance`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from driftlake.config import Settings
from driftlake.inputs.columns import EXPLANATION_COLUMNS
from driftlake.inputs.partitions import Partition, readable, without_corrupt_files
from driftlake.inputs.predictions import LeftOut, Reading, create_version_tables, create_view_of_partitions
from driftlake.lake import queries
from driftlake.lake.session import open_session
from driftlake.lineage.versions import ModelVersion
from driftlake.privacy.personal_columns import Findings, found_in_explanations

_READING = Reading(EXPLANATION_COLUMNS, {})


def summed_explanations(
    settings: Settings, partitions: Sequence[Partition], versions: Mapping[tuple[str, str], ModelVersion]
) -> tuple[list[Partition], pa.Table, Findings]:
    """The days, with unusable files refused; the rows of importance_profile; and the personal data that was found.

    Segments that contain personal data are left out. If feature names do, the day has no rows.

    A file is refused as a whole if any of its rows cannot be a sum of SHAP values.
    """
    read, impossible = without_corrupt_files(partitions, lambda usable: _impossible_rows(settings, usable))
    checked = [_refused(partition, impossible) for partition in read]
    with open_session(settings) as connection:
        create_version_tables(connection, list(versions.values()), settings.models)
        usable = readable(checked)
        found = found_in_explanations(usable, settings.telemetry)
        create_view_of_partitions(connection, "explanations", usable, _READING, LeftOut(found))
        return checked, queries.run(connection, "profiles/importance_sums").to_arrow_table(), found


def _impossible_rows(settings: Settings, partitions: Sequence[Partition]) -> Mapping[str, int]:
    """The number of impossible rows of each file, by path. Reads every column of every file."""
    paths = [file.path for partition in partitions for file in partition.files]
    with open_session(settings) as connection:
        create_view_of_partitions(connection, "explanations", partitions, _READING)
        found = queries.run(connection, "profiles/impossible_explanations").fetchall()
    return {paths[file_id]: row_count for file_id, row_count in found}


def _refused(partition: Partition, impossible: Mapping[str, int]) -> Partition:
    files = (
        file.refused(
            f"{file.path}: {count:,} of {file.row_count:,} rows cannot be sums of SHAP values (each row needs a "
            "row_count of at least 1, a finite absolute_sum of at least the absolute signed_sum, and a feature)"
        )
        if (count := impossible.get(file.path))
        else file
        for file in partition.files
    )
    return replace(partition, files=tuple(files))
