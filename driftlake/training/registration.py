"""Registers model versions. A registered version never changes, because production data is compared with it.

Not here: reading lineage files (`driftlake.lineage.lineage_files`), learning bins (`driftlake.training.learning`) and
learning them again (`driftlake.training.relearning`), loading registered versions (`driftlake.lineage.versions`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from driftlake.config import ModelSettings, PersonalDataSettings, Settings
from driftlake.contract.records import checks_of_training
from driftlake.contract.row_checks import Contracts
from driftlake.errors import DriftlakeError, InputError, LineageConflictError, WarehouseError
from driftlake.inputs.schema_changes import type_name
from driftlake.lake.failures import is_of_machine, sentence_of
from driftlake.lake.schema import arrow_schema, with_every_column
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.label_meaning import LabelMeaning, declared_meaning
from driftlake.lineage.lineage_files import LabelDelay, LineageFile, LineageRecord, lineage_locations, read_lineage_file
from driftlake.lineage.versions import SCORE
from driftlake.maths.binning import FeatureBins
from driftlake.privacy.personal_data import find
from driftlake.profiles.kernel import StackedCounts
from driftlake.training.contract_check import check_training
from driftlake.training.feature_choice import choose_features
from driftlake.training.learning import Learned, TrainingData, learn
from driftlake.training.reference_labels import count_reference_labels
from driftlake.training.reference_pairs import count_reference_pairs
from driftlake.training.reference_sample import take_reference_samples
from driftlake.training.reference_segments import count_reference_segments
from driftlake.training.targets import meaning_of_target


@dataclass(frozen=True, slots=True)
class Registration:
    """Result of registering the lineage files of a folder."""

    file_count: int
    # the files that could be read, of versions registered now or earlier
    read: Sequence[LineageFile]
    registered: Sequence[LineageFile]
    refused: Sequence[DriftlakeError]


def register_folder(warehouse: Warehouse, settings: Settings, contracts: Contracts | None = None) -> Registration:
    """Register the new versions in the lineage folder. A faulty file does not stop the others.

    The training data of registered versions is not read again, as `register` does.
    """
    locations = lineage_locations(settings)
    # one query for all versions, because a query for one takes as long
    runs = _registered_runs(warehouse)
    registered: list[LineageFile] = []
    known: list[LineageFile] = []
    refused: list[DriftlakeError] = []
    for location in locations:
        with _refusals(location, refused):
            file = read_lineage_file(settings, location)
            if run := runs.get(_key(file)):
                _require_same_lineage(run, settings, file)
            elif _register(warehouse, settings, file, contracts):
                registered.append(file)
            known.append(file)
    # after all registrations, because each of them invalidates the loaded versions
    together: list[DriftlakeError] = []
    with _refusals("lineage", together):
        complete(warehouse, settings, known)
    # if one version fails, each is completed separately, so that the others are
    for file in known if together else ():
        with _refusals(file.path, refused):
            complete(warehouse, settings, [file])
    return Registration(len(locations), known, registered, refused)


@contextmanager
def _refusals(location: str, refused: list[DriftlakeError]) -> Iterator[None]:
    """Collect errors of a lineage file in `refused`, unless they affect every file."""
    try:
        yield
    except WarehouseError:
        raise
    except DriftlakeError as error:
        refused.append(error)
    except Exception as error:
        if is_of_machine(error):
            raise
        refusal = InputError(f"{location}: {sentence_of(error)}")
        refusal.__cause__ = error
        refused.append(refusal)


def register(
    warehouse: Warehouse, settings: Settings, files: Sequence[LineageFile], contracts: Contracts | None = None
) -> list[LineageFile]:
    """Register the new versions and return them. Lineage and training data of registered versions must be unchanged.

    Raises LineageConflictError if a registered version or dataset differs, and InputError if training data cannot be used or
    breaks its contract.
    """
    registered = [file for file in files if _register(warehouse, settings, file, contracts)]
    count_reference_labels(warehouse, files)
    return registered


def complete(warehouse: Warehouse, settings: Settings, files: Sequence[LineageFile]) -> None:
    """Add the counts of training data that registered versions lack, after an upgrade, changed settings or learning bins again."""
    count_reference_labels(warehouse, files)
    count_reference_segments(warehouse, settings, files)
    count_reference_pairs(warehouse, settings, files)
    take_reference_samples(warehouse, settings, files)


def require_unchanged(warehouse: Warehouse, settings: Settings, file: LineageFile) -> None:
    """Raises LineageConflictError if the lineage file or its training data differs from the registered one."""
    if run := _registered_runs(warehouse).get(_key(file)):
        _require_same_lineage(run, settings, file)
    require_same_data(warehouse, file, TrainingData(file).fingerprint())


def rows_of(record: LineageRecord, learned: Sequence[Learned]) -> dict[str, pa.Table]:
    """Rows of feature_bins, feature_categories, reference_profile and reference_stats."""
    categories = [row | {"feature": item.bins.feature} for item in learned for row in item.categories]
    found = {"feature_bins": _bin_columns([item.bins for item in learned]), "feature_categories": _columns(categories)}
    if counted := [(item.bins, item.counts) for item in learned if item.counts is not None]:
        found |= _reference_columns(StackedCounts.of(*zip(*counted, strict=True)))
    return {name: _table(name, record, columns) for name, columns in found.items()}


def _bin_columns(learned: Sequence[FeatureBins]) -> dict[str, list[Any]]:
    """Columns of feature_bins; where a feature lacks a column, its values are null."""
    columns = [bins.columns() for bins in learned]
    names = dict.fromkeys(name for of_feature in columns for name in of_feature)
    return {
        name: [value for of_feature in columns for value in of_feature.get(name, [None] * len(of_feature["bin_id"]))]
        for name in names
    }


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _reference_columns(counts: StackedCounts) -> dict[str, dict[str, Any]]:
    """Columns of reference_profile and reference_stats, from the counts of the features in a single group."""
    features = pa.array([bins.feature for bins in counts.features], pa.string())
    places, bin_ids = np.nonzero(counts.bins)
    profile = {"feature": features.take(pa.array(places)), "bin_id": bin_ids, "row_count": counts.bins[places, bin_ids]}
    return {"reference_profile": profile, "reference_stats": {"feature": features, **counts.stats()}}


def _table(name: str, record: LineageRecord, columns: Mapping[str, Any]) -> pa.Table:
    """Rows of a table for one version; missing columns are null."""
    count = max((len(values) for values in columns.values()), default=0)
    given = {**{key: [value] * count for key, value in _owner(record).items()}, **columns}
    return with_every_column(pa.table({key: pa.array(values, from_pandas=True) for key, values in given.items()}), name)


def _register(warehouse: Warehouse, settings: Settings, file: LineageFile, contracts: Contracts | None) -> bool:
    known = _registered_runs(warehouse).get(_key(file))
    if known:
        _require_same_lineage(known, settings, file)
    data = TrainingData(file)
    fingerprint = data.fingerprint()
    require_same_data(warehouse, file, fingerprint)
    if known:
        return False
    corrections = settings.models.get(file.record.model_id, ModelSettings())
    _require_no_personal_data_in_classes(file, settings.telemetry.personal_data)
    choice = choose_features(file, data, settings)
    found = data.personal_data(choice.features, settings.telemetry.personal_data)
    learned = learn(file, data, choice.features, corrections, settings.drift.other_features_bins, found)
    meaning = meaning_of_target(file, data, settings)
    left_out = {**choice.left_out, **{name: f"personal data ({finding})" for name, finding in found.items()}}
    run = _run_row(file, data, fingerprint, learned, meaning, left_out)
    tables = {"training_runs": pa.Table.from_pylist([run], schema=arrow_schema("training_runs"))}
    tables |= rows_of(file.record, learned)
    today = datetime.now(UTC).date()
    checks = check_training(settings, contracts.training, file, data, learned, meaning, today) if contracts else []
    if checks or found:
        tables["contract_checks"] = checks_of_training(_owner(file.record), checks, found, today)
    # another process may have registered the version in the meantime
    return warehouse.append_once(tables, "training_runs", _owner(file.record))


def _registered_runs(warehouse: Warehouse) -> dict[tuple[str, str], dict[str, Any]]:
    """Lineage fingerprint and positive label of the registered versions, by model and version."""
    rows = warehouse.sql("select model_id, model_version, lineage_fingerprint, positive_label from training_runs")
    return {(row["model_id"], row["model_version"]): row for row in rows.to_pylist()}


def _key(file: LineageFile) -> tuple[str, str]:
    return file.record.model_id, file.record.model_version


def _require_same_lineage(run: Mapping[str, Any], settings: Settings, file: LineageFile) -> None:
    fingerprint = _lineage_fingerprint(file.record)
    if run["lineage_fingerprint"] != fingerprint:
        raise LineageConflictError(
            f"{file.path}: {file.record.model_id} {file.record.model_version} was registered with a different lineage file"
            f" (lineage fingerprint {run['lineage_fingerprint']}, now {fingerprint})",
            hint="restore the file, or register the change as a new model_version",
        )
    declared = declared_meaning(file.record, settings)
    if (positive := declared.positive if declared else "1") != (run["positive_label"] or "1"):
        raise LineageConflictError(
            f"{file.path}: {file.record.model_id} {file.record.model_version} was registered with the positive label"
            f" {run['positive_label'] or 1}, now it is {positive}",
            hint="restore `labels.positive`, or register the change as a new model_version",
        )


def require_same_data(warehouse: Warehouse, file: LineageFile, fingerprint: str) -> None:
    """Raises LineageConflictError if the training data have changed since a version was registered with them."""
    dataset = file.record.training_dataset_id
    runs = warehouse.sql("select dataset_fingerprint from training_runs where training_dataset_id = ?", [dataset])
    for registered in runs["dataset_fingerprint"].to_pylist():
        if registered != fingerprint:
            raise LineageConflictError(
                f"{file.path}: training dataset {dataset} was registered with fingerprint {registered},"
                f" {file.training_data} now has {fingerprint}",
                hint="restore the data, or give the changed data a new training_dataset_id and model_version",
            )


def _require_no_personal_data_in_classes(file: LineageFile, settings: PersonalDataSettings) -> None:
    found = find(file.record.classes or ()) if settings.blocked else None
    if found:
        raise InputError(
            f"{file.path}: the classes look like personal data ({found}), and classes are stored unchanged",
            hint="give the classes names that do not identify a person",
        )


def _lineage_fingerprint(record: LineageRecord) -> str:
    # without default values, so that a key added in a later release does not change the fingerprint
    content = record.model_dump(mode="json", exclude={"training_data"}, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _owner(record: LineageRecord) -> dict[str, str]:
    return {"model_id": record.model_id, "model_version": record.model_version}


def _run_row(
    file: LineageFile,
    data: TrainingData,
    fingerprint: str,
    learned: Sequence[Learned],
    meaning: LabelMeaning | None,
    left_out: Mapping[str, str],
) -> dict[str, Any]:
    record = file.record
    features = [item.bins.feature for item in learned if item.bins.feature != SCORE]
    return {
        **_owner(record),
        "training_run_id": record.training_run_id,
        "training_dataset_id": record.training_dataset_id,
        "training_data": file.training_data,
        "dataset_fingerprint": fingerprint,
        "lineage_fingerprint": _lineage_fingerprint(record),
        "row_count": data.row_count(),
        "target": record.target,
        "score": record.score,
        "score_kind": record.score_kind,
        "task": record.task,
        "quantile": record.quantile,
        "classes": list(record.classes) if record.classes else None,
        "positive_label": meaning.positive if meaning else None,
        "negative_label": meaning.negative if meaning else None,
        "features": features,
        "columns_left_out": [f"{name}: {reason}" for name, reason in left_out.items()],
        "feature_types": [type_name(data.types[name]) for name in features],
        **{f"label_delay_{name}": value for name, value in _delay(record).items()},
        "baseline_auc": record.baseline.auc,
        "baseline_accuracy": record.baseline.accuracy,
        "baseline_f1_score": record.baseline.f1_score,
        "feature_importance": json.dumps(record.feature_importance) if record.feature_importance else None,
        "released_at": record.released_at,
        "registered_at": datetime.now(UTC),
    }


def _delay(record: LineageRecord) -> dict[str, float | None]:
    delay = record.label_delay
    return {name: getattr(delay, name) if delay else None for name in LabelDelay.model_fields}
