"""Example predictions for an alert: ids from the bins of its feature that grew most.

They are read from the day's files on request and are not stored; columns with personal data are not shown.
Not here: how bins are learned (`driftlake.maths.binning`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from driftlake.config import Settings, signal_of
from driftlake.inputs.columns import CanonicalColumn, feature_column, telemetry_columns
from driftlake.inputs.partitions import read_partitions
from driftlake.inputs.predictions import LeftOut, Reading, create_view_of_partitions
from driftlake.lake import queries
from driftlake.lake.session import create_table, open_session
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import load_versions
from driftlake.maths.value_text import has_text
from driftlake.privacy.personal_columns import found_in_profiles
from driftlake.vocabulary.signals import FEATURE

# Number of examples per bin.
EACH = 3
_TRACE = CanonicalColumn("trace_id", "varchar", has_text, "", is_optional=True)


def are_about(alert: Mapping[str, Any]) -> bool:
    """Whether an alert is about a feature, so that predictions can show it."""
    return signal_of(alert["signal"]).source.about == FEATURE


def find_exemplars(
    warehouse: Warehouse, settings: Settings, alert: Mapping[str, Any], day: date
) -> list[dict[str, Any]]:
    """Rows of bin, growth (of its share since training), correlation_id and trace_id; none if no feature is meant."""
    if not are_about(alert):
        return []
    columns = telemetry_columns(settings.telemetry.segments, time_zone=settings.telemetry.timezone)
    telemetry = settings.telemetry
    partitions = read_partitions(
        settings.resolve(telemetry.path), [day], columns, telemetry.columns, telemetry.partitioning
    )
    kept = [
        replace(partition, files=tuple(file for file in partition.files if not file.refusal))
        for partition in partitions
    ]
    if not any(partition.files for partition in kept):
        return []
    about = {name: alert[name] for name in ("model_id", "model_version", "deployment")}
    grown = warehouse.query("exemplars/grown_bins", day=day, feature=alert["feature"], **about)
    known = warehouse.sql(
        "select category, bin_id from feature_categories where model_id = ? and model_version = ? and feature = ?",
        [alert["model_id"], alert["model_version"], alert["feature"]],
    )
    text, number = (feature_column(f"feature_{name}", is_number=name == "number") for name in ("text", "number"))
    own = telemetry.path_of(alert["feature"])
    with open_session(settings) as connection:
        found = found_in_profiles(kept, settings.telemetry, load_versions(warehouse).values())
        more = [text, number] if any(column.name == _TRACE.name for column in columns) else [_TRACE, text, number]
        mapping = {**settings.telemetry.columns, text.name: own, number.name: own}
        create_view_of_partitions(connection, "predictions", kept, Reading([*columns, *more], mapping), LeftOut(found))
        create_table(connection, "grown_bins", grown)
        create_table(connection, "known_categories", known)
        rows = queries.run(connection, "exemplars/rows", **about, each=EACH).to_arrow_table()
    listed: list[dict[str, Any]] = rows.to_pylist()
    return listed
