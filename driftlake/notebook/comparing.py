"""Compares two frames as a nightly run compares a window with training: the same bins, noise, thresholds and reasons.

Not here: learning (`driftlake.training.learning`), counting (`driftlake.profiles.kernel`), and the comparison
(`driftlake.drift.comparison`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from driftlake.config import DriftSettings, ModelSettings, Settings
from driftlake.drift.bucket_history import Profiles, feature_ids
from driftlake.drift.comparison import OUTCOMES, buckets_of, compare_windows
from driftlake.errors import ConfigurationError, InputError
from driftlake.lineage.lineage_files import LineageRecord, ScoreKind
from driftlake.lineage.versions import SCORE, ModelVersion
from driftlake.maths import encoding
from driftlake.maths.arrays import Counts
from driftlake.maths.binning import FeatureBins
from driftlake.maths.segments import ALL
from driftlake.notebook.frames import Frame, as_file, columns_of, require_columns
from driftlake.notebook.options import Config, changed, checked, settings_of
from driftlake.notebook.results import Result
from driftlake.profiles.kernel import count_column
from driftlake.training.feature_choice import choose_features
from driftlake.training.learning import Learned, TrainingColumns, learn, scores_of
from driftlake.vocabulary.wording import counted, first_of

# all rows are those of one day
_DAY = date(2000, 1, 1)
_REFERENCE, _CURRENT = "reference", "current"
_GROUP = ("frames", "1", "production", ALL)
# columns of feature_drift that say which version, day and window a row is about
_PLACE = ("dt", "model_id", "model_version", "deployment", "segment", "window_days", "reference", "current_day_count")
_SHOWN = (
    "feature", "outcome", "statistic", "value", "noise_floor", "warn_threshold", "drift_threshold",
    "current_count", "reference_count",
)  # fmt: skip
_WORST_FIRST = {"drift": 0, "warn": 1, "insufficient_data": 2, "stable": 3}
_NAMED = 5


def compare(  # noqa: PLR0913  # what a lineage file and a driftlake.yaml say is given by name
    reference: Frame,
    current: Frame,
    *,
    features: Collection[str] | None = None,
    categorical: Collection[str] = (),
    numeric: Collection[str] = (),
    score: str | None = None,
    score_kind: ScoreKind = "probability",
    exclude: Collection[str] = (),
    drift: Mapping[str, Any] | None = None,
    config: Config = None,
    model_id: str | None = None,
) -> Result:
    """Compare the columns of two frames, or of the Parquet files at two paths.

    Bins are learned from `reference`, and the rows of `current` are counted in them, as a nightly run does with training
    data and the predictions of a window. The numbers are those of `feature_drift` and `prediction_drift` for the same rows.

    Parameters
    ----------
    reference, current
        Data frames of pandas or polars, Arrow tables, or paths of Parquet files, folders, Delta or Iceberg tables.
    features
        Columns to compare; by default those that a lineage file without `features` would have.
    categorical, numeric
        Columns to count as categories whatever their type, and integer columns to count as numbers.
    score, score_kind
        The column of the scores, and what it holds: "probability", "percent" or "value". Its rows have the feature
        `score`.
    exclude
        Columns that are not features, such as the target.
    drift
        Keys of the section `drift` of a driftlake.yaml, e.g. {"minimum_rows": 500}.
    config, model_id
        A driftlake.yaml (or `Settings`) whose section `drift` is used, and the model whose corrections are.

    Returns
    -------
    Result
        `frame` has a row per column and statistic, `summary` a row per column.

    Raises
    ------
    InputError
        A frame has no rows, lacks a column, or has it in a type that cannot be compared.
    ConfigurationError
        A setting has a value that it cannot have.
    """
    settings = _settings(config, drift)
    expected, found = columns_of(reference, _REFERENCE), columns_of(current, _CURRENT)
    asked = [*(features or ()), *categorical, *numeric, *([score] if score else ())]
    for columns, name in ((expected, _REFERENCE), (found, _CURRENT)):
        require_columns(columns, name, asked)
    record = _record(features, score, score_kind)
    corrections = _corrections(settings, model_id, expected, categorical, numeric)
    learned, left_out = _learn(expected, record, corrections, settings, exclude)
    if not learned:
        raise InputError(
            f"{_REFERENCE} has no column to compare", hint="exclude fewer columns, or name the scores with `score`"
        )
    version, counts = _version(record, learned), _counts(found, record, learned)
    rows = _rows(version, counts, settings.drift)
    return _result(rows, left_out, found.row_count(), expected.row_count())


def _settings(config: Config, drift: Mapping[str, Any] | None) -> Settings:
    settings = settings_of(config)
    taken = {"windows_days", "references"} & set(drift or ())
    if taken:
        raise ConfigurationError(
            f"drift: {' and '.join(sorted(taken))} cannot be given, because the two frames are the window and its reference"
        )
    fixed = {"windows_days": (1,), "references": ("training",)}
    return settings.model_copy(update={"drift": changed(settings.drift, {**(drift or {}), **fixed}, "drift")})


def _record(features: Collection[str] | None, score: str | None, score_kind: ScoreKind) -> LineageRecord:
    content = {
        "model_id": _GROUP[0],
        "model_version": _GROUP[1],
        "training_run_id": "-",
        "training_dataset_id": "-",
        "training_data": _REFERENCE,
        "score": score,
        "score_kind": score_kind,
        "features": None if features is None else tuple(features),
    }
    return checked(LineageRecord, content, "compare")


def _corrections(
    settings: Settings,
    model_id: str | None,
    columns: TrainingColumns,
    categorical: Collection[str],
    numeric: Collection[str],
) -> ModelSettings:
    """The corrections of a model about the columns that are there, with those of the call."""
    if model_id is not None and model_id not in settings.models:
        raise ConfigurationError(
            f"model_id: the configuration has no section models.{model_id}",
            hint=f"it has {', '.join(settings.models) or 'no models'}",
        )
    given = settings.models[model_id] if model_id else ModelSettings()

    def merged(kept: Collection[str], added: Collection[str], instead: Collection[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*(name for name in kept if name in columns.types and name not in instead), *added]))

    content = {
        "categorical": merged(given.categorical, categorical, numeric),
        "numeric": merged(given.numeric, numeric, categorical),
        "critical": merged(given.critical, (), ()),
    }
    return checked(ModelSettings, content, "compare")


def _learn(
    columns: TrainingColumns,
    record: LineageRecord,
    corrections: ModelSettings,
    settings: Settings,
    exclude: Collection[str],
) -> tuple[Sequence[Learned], Mapping[str, str]]:
    """The bins and counts of the reference, and the columns that are left out, each with the reason."""
    file = as_file(record, _REFERENCE)
    chosen = choose_features(file, columns, settings.model_copy(update={"models": {record.model_id: corrections}}))
    names = [name for name in chosen.features if name not in exclude]
    if SCORE in names:
        raise InputError(
            f"{_REFERENCE} has a column called {SCORE}, which is the name of the predictions",
            hint=f'if it holds the predictions, give `score="{SCORE}"`, otherwise rename it or leave it out with `exclude`',
        )
    kept = corrections.model_copy(
        update={kind: tuple(name for name in getattr(corrections, kind) if name in names) for kind in _CORRECTED}
    )
    try:
        learned = learn(file, columns, names, kept, settings.drift.other_features_bins)
    except InputError as error:
        raise InputError(error.message, hint="leave the column out with `exclude`, or convert it") from error
    left_out = {name: why for name, why in chosen.left_out.items() if name not in exclude}
    # a probability has bins even if no column has it
    return [each for each in learned if each.bins.feature != SCORE or record.score], left_out


_CORRECTED = ("categorical", "numeric", "critical")


def _version(record: LineageRecord, learned: Sequence[Learned]) -> ModelVersion:
    bins = {each.bins.feature: each.bins for each in learned}
    return ModelVersion(
        record.model_id,
        record.model_version,
        score_kind="probability" if record.is_probability else "value",
        features={name: each for name, each in bins.items() if name != SCORE},
        score_bins=bins.get(SCORE),
        reference_counts={each.bins.feature: each.counts.bins[0] for each in learned if each.counts is not None},
    )


def _counts(columns: TrainingColumns, record: LineageRecord, learned: Sequence[Learned]) -> Mapping[str, Counts]:
    """The current rows in the bins of the reference, by feature."""
    require_columns(columns, _CURRENT, [each.bins.feature for each in learned if each.bins.feature != SCORE])
    counts = {}
    for bins in (each.bins for each in learned):
        column = scores_of(columns, record) if bins.feature == SCORE else columns.column(bins.feature)
        assert column is not None, "scores are learned only if they are named"
        _require_type(column.type, bins, record)
        counts[bins.feature] = count_column(column, bins).bins[0]
    return counts


def _require_type(kind: pa.DataType, bins: FeatureBins, record: LineageRecord) -> None:
    if not encoding.fits(kind, bins):
        name = record.score if bins.feature == SCORE else bins.feature
        expected = "a number" if bins.grid else "text, a number or a boolean"
        raise InputError(
            f"{_CURRENT}: column {name} has type {kind}, expected {expected} as in {_REFERENCE}",
            hint="convert the column, or leave it out with `exclude`",
        )


def _rows(version: ModelVersion, counts: Mapping[str, Counts], settings: DriftSettings) -> pl.DataFrame:
    """Rows of feature_drift and, with the feature `score`, of prediction_drift."""
    ids = feature_ids(version)
    filled = {name: np.flatnonzero(of_bins) for name, of_bins in counts.items()}
    per_bin = pa.table(
        {
            "bucket": np.zeros(sum(map(len, filled.values())), np.int32),
            "feature_id": np.repeat([ids[name] for name in filled], [len(bin_ids) for bin_ids in filled.values()]),
            "bin_id": np.concatenate(list(filled.values())),
            "row_count": np.concatenate([counts[name][bin_ids] for name, bin_ids in filled.items()]),
        }
    )
    days = pa.table(
        {
            "bucket": np.zeros(len(counts), np.int32),
            "feature_id": np.array([ids[name] for name in counts], np.int32),
            "day_count": np.ones(len(counts), np.int64),
        }
    )
    profiles = Profiles(
        {_GROUP: per_bin}, {_GROUP: days}, buckets_of([_DAY], settings), {(_GROUP[0], _GROUP[1]): version}
    )
    of_features, of_scores = compare_windows(profiles, [_GROUP], settings, [_DAY])
    scores = of_scores.append_column("feature", pa.repeat(SCORE, of_scores.num_rows)).select(of_features.column_names)
    found = pl.from_arrow(pa.concat_tables([of_features, scores]))
    assert isinstance(found, pl.DataFrame)
    return found.drop(*_PLACE)


def _result(rows: pl.DataFrame, left_out: Mapping[str, str], current: int, reference: int) -> Result:
    summary = _worst(rows)
    by_outcome = {name: summary.filter(outcome=name)["feature"].to_list() for name in OUTCOMES}
    parts = [f"{len(by_outcome['drift'])} of {counted(len(summary), 'column')} drifted"]
    if by_outcome["drift"]:
        parts[0] += f" ({first_of(by_outcome['drift'], _NAMED)})"
    if by_outcome["warn"]:
        parts.append(f"{len(by_outcome['warn'])} warn ({first_of(by_outcome['warn'], _NAMED)})")
    if by_outcome["insufficient_data"]:
        why = rows.filter(outcome="insufficient_data")["reason"].drop_nulls().unique(maintain_order=True).to_list()
        parts.append(f"{len(by_outcome['insufficient_data'])} cannot be judged ({first_of(why, 1)})")
    sentence = f"{', '.join(parts)}: {current:,} rows compared with {reference:,}"
    return Result(sentence, rows, summary, left_out)


def _worst(rows: pl.DataFrame) -> pl.DataFrame:
    """For each column the statistic that decides: the worst outcome, and of several the one furthest above its threshold."""
    threshold = pl.coalesce("drift_threshold", "warn_threshold", "noise_floor")
    order = [
        pl.col("outcome").replace_strict(_WORST_FIRST, return_dtype=pl.Int8),
        (pl.col("value").abs() / threshold).fill_nan(None),
    ]
    ranked = rows.sort(order, descending=[False, True], nulls_last=True, maintain_order=True)
    return ranked.unique("feature", keep="first", maintain_order=True).select(_SHOWN)
