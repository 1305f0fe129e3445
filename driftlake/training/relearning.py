"""Learns the bins of a registered version again from the same training data and deletes the counts in its former bins.

New bins are stored and old counts deleted in one transaction, so a day is never counted in two sets of bins.
training_runs.bins_learned_at is part of the fingerprint of every day, so the next run or backfill of a day counts it
again. Not here: the
first registration (`driftlake.training.registration`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from driftlake.config import TELEMETRY, ModelSettings, Settings
from driftlake.errors import InputError
from driftlake.inputs.listing import look_into
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import LineageFile, read_lineage_folder
from driftlake.lineage.versions import SCORE, ModelVersion, load_versions
from driftlake.maths.binning import FeatureBins
from driftlake.training.learning import TrainingData, learn
from driftlake.training.registration import complete, require_unchanged, rows_of

_REFERENCES = (
    "feature_bins",
    "feature_categories",
    "reference_profile",
    "reference_stats",
    "reference_label_profile",
    "segment_reference_profile",
    "reference_pair_profile",
    "reference_sample",
)
_COUNTED_BY_FEATURES = ("feature_profile", "feature_stats", "pair_profile", "prediction_sample")
_COUNTED_BY_SCORE = ("prediction_profile", "label_cohorts")
# The scores of a candidate are counted in the score bins of production.
_PAIRED_BY_SCORE = ("shadow_profile", "shadow_cohorts")


@dataclass(frozen=True, slots=True)
class Relearned:
    """The features (or 'score') with changed bins, the days to be counted again, and the days that cannot be."""

    changed: Sequence[str]
    days: Sequence[date]
    days_without_telemetry: Sequence[date]


def relearn(
    warehouse: Warehouse,
    settings: Settings,
    model_id: str,
    model_version: str,
    *,
    is_dry_run: bool = False,
    is_dropping: bool = False,
) -> Relearned:
    """Learn the bins of a version again, and delete the counts in bins that change.

    `is_dropping` also deletes the counts of days without telemetry, which cannot be counted again. No other run may
    be using the warehouse.

    Raises InputError if there is no such version or if counts would be lost, LineageConflictError if the lineage file or
    its training data differ from what was registered.
    """
    file, version = _find(warehouse, settings, model_id, model_version)
    require_unchanged(warehouse, settings, file)
    data = TrainingData(file)
    corrections = settings.models.get(model_id, ModelSettings())
    corrected = {*corrections.categorical, *corrections.numeric, *corrections.critical}
    # models.<id> may name features that were left out because they contain personal data
    left_out = sorted((corrected & data.types.keys()) - version.features.keys())
    features = [*version.features, *left_out]
    learned = learn(file, data, features, corrections, settings.drift.other_features_bins, left_out)
    changed = [item.bins.feature for item in learned if not _are_same(item.bins, version.bins_of(item.bins.feature))]
    found = _found(warehouse, settings, version, changed)
    if is_dry_run or not changed:
        return found
    if found.days_without_telemetry and not is_dropping:
        raise InputError(
            f"{model_id} {model_version}: {len(found.days_without_telemetry)} of {len(found.days)} stored days no "
            f"longer have telemetry, so they could not be counted in new bins; the last of these is {found.days_without_telemetry[-1]}",
            hint="register the model as a new version, or drop the counts of these days with --drop-days",
        )
    warehouse.replace_owned(
        {**rows_of(file.record, learned), "training_runs": _run_of(warehouse, version)},
        _emptied(version, is_score_changed=SCORE in changed),
    )
    complete(warehouse, settings, [file])
    return found


def _find(
    warehouse: Warehouse, settings: Settings, model_id: str, model_version: str
) -> tuple[LineageFile, ModelVersion]:
    version = load_versions(warehouse).get((model_id, model_version))
    files = [
        file
        for file in read_lineage_folder(settings)
        if (file.record.model_id, file.record.model_version) == (model_id, model_version)
    ]
    if version is None or not files:
        lacking = (
            "is not registered" if version is None else f"has no file in {settings.resolve(settings.lineage.path)}"
        )
        raise InputError(
            f"{model_id} {model_version} {lacking}", hint="`driftlake lineage export` lists the registered versions"
        )
    return files[0], version


def _are_same(new: FeatureBins, old: FeatureBins | None) -> bool:
    if old is None:
        return False
    return new.columns() == old.columns() and new.categories == old.categories


def _found(warehouse: Warehouse, settings: Settings, version: ModelVersion, changed: Sequence[str]) -> Relearned:
    tables = [*(_COUNTED_BY_FEATURES if {*changed} - {SCORE} else ()), *(_COUNTED_BY_SCORE if SCORE in changed else ())]
    query = " union ".join(f"select dt from {table} where model_id = ? and model_version = ?" for table in tables)
    owner = list(version.owner.values())
    days = sorted(warehouse.sql(query, owner * len(tables))["dt"].to_pylist()) if tables else []
    there = set(look_into(settings.resolve(settings.telemetry.path), settings.partitioning_of(TELEMETRY), days).days)
    return Relearned(changed, days, [day for day in days if day not in there])


def _run_of(warehouse: Warehouse, version: ModelVersion) -> pa.Table:
    [run] = warehouse.sql(
        "from training_runs where model_id = ? and model_version = ?", list(version.owner.values())
    ).to_pylist()
    return pa.Table.from_pylist([run | {"bins_learned_at": datetime.now(UTC)}], schema=arrow_schema("training_runs"))


def _emptied(version: ModelVersion, *, is_score_changed: bool) -> dict[str, Mapping[str, Any]]:
    """The rows to delete, by table."""
    owned = ["training_runs", *_REFERENCES, *_COUNTED_BY_FEATURES, *(_COUNTED_BY_SCORE if is_score_changed else ())]
    paired = {"model_id": version.model_id, "production_version": version.model_version}
    return {
        **dict.fromkeys(owned, version.owner),
        **(dict.fromkeys(_PAIRED_BY_SCORE, paired) if is_score_changed else {}),
    }
