"""Learns bins, categories and reference counts from the training data of a version.

Not here: how bins are learned from values (`driftlake.maths.numeric_bins`), how rows are counted (`driftlake.profiles.kernel`), and storing (`driftlake.training.registration`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from driftlake.config import ModelSettings, PersonalDataSettings
from driftlake.errors import ConfigurationError, InputError
from driftlake.inputs.listed_files import ListedFile
from driftlake.inputs.listing import files_in
from driftlake.inputs.parquet_files import InputFile, open_parquet, oversize, read_footer
from driftlake.lake.faults import explained
from driftlake.lake.storage import filesystem_of
from driftlake.lineage.lineage_files import LineageFile, LineageRecord, score_divisor
from driftlake.lineage.versions import SCORE
from driftlake.maths import binning, encoding
from driftlake.maths.binning import FeatureBins, FeatureKind
from driftlake.maths.numeric_bins import learn_numeric_bins
from driftlake.maths.value_text import is_text, plain_type
from driftlake.privacy.personal_data import Finding, scan_files
from driftlake.profiles import kernel

_HASH_BLOCK_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Learned:
    """Bins and training counts of a feature or of the score; `counts` is None without training values."""

    bins: FeatureBins
    counts: kernel.FeatureCounts | None
    categories: Sequence[dict[str, Any]] = ()


class TrainingColumns(Protocol):
    """Training rows, a column at a time: the files of a version (`TrainingData`), or a data frame."""

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """Names and types of the columns, in order."""

    @property
    def pandas_index(self) -> Sequence[str]:
        """Columns that pandas wrote as the index of its data frame."""

    def row_count(self) -> int:
        """Number of rows."""

    def column(self, name: str) -> pa.ChunkedArray:
        """The values of a column."""


class TrainingData:
    """The training Parquet of a version, read a column at a time."""

    def __init__(self, file: LineageFile) -> None:
        """Raises InputError if there is no training data or it is not Parquet."""
        self._file = file
        with self._explained("it"):
            self.files = [read_footer(listed, date.min) for listed in _training_files(file)]
        if refusals := [training_file.refusal for training_file in self.files if training_file.refusal]:
            raise InputError(f"{file.training_data}: it cannot be read: {refusals[0]}")
        self.paths = [training_file.path for training_file in self.files]
        self._kinds = _kinds_of(self.files)
        # a column whose values have no common type can only be left out
        self.types: dict[str, pa.DataType] = {name: _common(kinds) or pa.null() for name, kinds in self._kinds.items()}
        with self._explained("it"), open_parquet(self.paths[0]) as first:
            # columns that pandas wrote as the index of its data frame
            self.pandas_index = _pandas_index_of(first.schema_arrow)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self.types)

    def row_count(self) -> int:
        """Rows over all files."""
        return sum(file.row_count for file in self.files)

    def fingerprint(self) -> str:
        """SHA-256 over the bytes of all files, and over the values that their folders or their table's log add."""
        digest = hashlib.sha256()
        for file in self.files:
            filesystem, inner = filesystem_of(file.path)
            with self._explained("it"), filesystem.open_input_stream(inner) as stream:
                while block := stream.read(_HASH_BLOCK_BYTES):
                    digest.update(block)
            if file.values or file.deleted:
                digest.update(repr((sorted(file.values.items()), file.deleted)).encode())
        return digest.hexdigest()

    def personal_data(self, names: Iterable[str], settings: PersonalDataSettings) -> Mapping[str, Finding]:
        """Personal data found in columns; empty if the search is switched off."""
        wanted = set(names) - set(settings.exempt) if settings.blocked else ()
        with self._explained("it"):
            return scan_files(self.paths, sorted(wanted)) if wanted else {}

    def column(self, name: str) -> pa.ChunkedArray:
        """A column of all files; text as a dictionary, so that a value that is repeated is in memory once.

        Raises InputError if its cells are too large.
        """
        for file in self.files:
            if size := file.cell_bytes(name):
                raise InputError(f"{file.path} {oversize(name, size)}", hint="leave the column out of the lineage file")
        with self._explained(f"column {name}"):
            kind = self.types[name]
            if is_text(kind):
                kind = pa.dictionary(pa.int32(), kind)
            if pat.is_null(kind) and len(kinds := self._kinds[name]) > 1:
                raise pa.ArrowTypeError(f"its files have the types {' and '.join(map(str, kinds))}")
            parts = [self._read(file, name) for file in self.files]
            return pa.chunked_array([chunk for part in parts for chunk in _cast(part, kind).chunks], type=kind)

    @staticmethod
    def _read(file: InputFile, name: str) -> pa.ChunkedArray:
        if name in file.values:
            return pa.chunked_array([pa.repeat(pa.scalar(file.values[name], pa.string()), file.row_count)])
        dictionary_columns = [name] if is_text(file.columns[name]) else []
        with open_parquet(file.path, dictionary_columns=dictionary_columns) as parquet:
            column = parquet.read(columns=[name]).column(name)
        return column.filter(pa.array(~file.is_deleted(0, len(column)))) if file.deleted else column

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, KeyError, MemoryError) as error:
            if fault := explained(error, doing=f"{self._file.training_data}: {what} cannot be read"):
                raise fault from error
            raise InputError(f"{self._file.training_data}: {what} cannot be read: {error}") from error


def scores_of(data: TrainingColumns, record: LineageRecord) -> pa.ChunkedArray | None:
    """The column of the scores, percentages as probabilities; None if the lineage names none."""
    if record.score is None:
        return None
    column, divisor = data.column(record.score), score_divisor(record.score_kind)
    # a column that is not a number is refused elsewhere, by name
    return (
        column
        if divisor == 1 or not encoding.is_numeric(column.type)
        else pc.divide(column.cast(pa.float64()), divisor)
    )


def _kinds_of(files: Sequence[InputFile]) -> dict[str, list[pa.DataType]]:
    """The types of each column in the files; files without rows are ignored unless all are without rows."""
    found: dict[str, list[pa.DataType]] = {}
    for file in [file for file in files if file.row_count] or files:
        for name, kind in file.columns.items():
            found.setdefault(name, []).append(kind)
    return {name: list(dict.fromkeys(kinds)) for name, kinds in found.items()}


def _common(kinds: Sequence[pa.DataType]) -> pa.DataType | None:
    """A common type for values of several types; None if there is none."""
    if len(kinds) == 1:
        return kinds[0]
    plain = dict.fromkeys(map(plain_type, kinds))
    schemas = [pa.schema([("column", kind)]) for kind in plain]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("column").type
    except pa.ArrowException:
        return None


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A column of one file in the common type; refused where a float would lose digits of an integer."""
    if column.type == kind:
        return column
    if pat.is_dictionary(kind) and not pat.is_dictionary(column.type):
        return column.cast(kind.value_type, safe=False).dictionary_encode()
    return column.cast(kind, safe=False)


def learn(
    file: LineageFile,
    data: TrainingColumns,
    features: Sequence[str],
    corrections: ModelSettings,
    other_features_bins: int | None = None,
    left_out: Collection[str] = (),
) -> list[Learned]:
    """Learn the bins of the features and of the score.

    Features that are not critical get `other_features_bins` bins at most; those in `left_out` are not learned.

    Raises InputError naming the column that cannot be used.
    """
    _require_columns(file, data, features, corrections)
    limits = {
        name: None if name in corrections.critical else other_features_bins for name in features if name not in left_out
    }
    learned = (_learn_feature(file, data, name, corrections, limit) for name, limit in limits.items())
    return [*learned, *_learn_score(file, data)]


def _pandas_index_of(schema: pa.Schema) -> list[str]:
    """Columns that pandas wrote as the index of its data frame."""
    try:
        listed = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    except (ValueError, AttributeError):
        return []
    # a plain range index is stored as metadata and is not a column
    return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []


def _training_files(file: LineageFile) -> list[ListedFile]:
    """The training file, or every file of the training folder or table in order."""
    place = file.training_data.rstrip("/")
    if not (found := files_in(place)):
        raise InputError(f"{file.path}: training_data: {file.training_data} has no Parquet file")
    return found


def _require_columns(
    file: LineageFile, data: TrainingColumns, features: Sequence[str], corrections: ModelSettings
) -> None:
    asked = [*features, *(name for name in (file.record.target, file.record.score) if name)]
    if absent := [name for name in asked if name not in data.types]:
        raise InputError(
            f"{file.training_data} has no column {', '.join(absent)}, which {file.path} names",
            hint=f"it has {', '.join(data.types)}",
        )
    if SCORE in features:
        raise InputError(f"{file.path}: a feature cannot be called '{SCORE}', which is the name of the prediction")
    if unknown := sorted({*corrections.categorical, *corrections.numeric, *corrections.critical} - set(features)):
        raise ConfigurationError(
            f"models.{file.record.model_id} names {', '.join(unknown)}, which {file.path} does not list as a feature",
            hint=f"the features are {', '.join(features)}",
        )


def _learn_feature(
    file: LineageFile, data: TrainingColumns, name: str, corrections: ModelSettings, bin_limit: int | None
) -> Learned:
    column = data.column(name)
    if not encoding.is_category(column.type):
        raise InputError(
            f"{file.training_data}: feature {name} has type {column.type}, which cannot be binned",
            hint="leave it out of `features` in the lineage file, or store it as number, text or boolean",
        )
    if is_categorical(column, name, corrections):
        return _learn_categories(name, column, bin_limit)
    bins = _numeric_bins(file, name, column, bin_limit=bin_limit)
    return Learned(bins, kernel.count_column(column, bins))


def _numeric_bins(
    file: LineageFile,
    name: str,
    column: pa.ChunkedArray,
    kind: FeatureKind = "numeric",
    bin_limit: int | None = None,
) -> FeatureBins:
    if not encoding.is_numeric(column.type):
        raise InputError(f"{file.training_data}: column {name} has type {plain_type(column.type)}, expected a number")
    known = encoding.learnable_values(column)
    if not len(known):
        raise InputError(
            f"{file.training_data}: feature {name} has no finite value, so no bins can be learned",
            hint="leave it out of the lineage file",
        )
    return learn_numeric_bins(name, known, kind=kind, bin_limit=bin_limit)


def is_categorical(column: pa.ChunkedArray, name: str, corrections: ModelSettings) -> bool:
    """Whether a feature is counted by category rather than as a number."""
    if name in corrections.categorical:
        return True
    if name in corrections.numeric:
        return False
    if pat.is_integer(column.type):
        return len(column.drop_null().unique()) <= binning.MAX_INTEGER_CATEGORIES
    return not encoding.is_numeric(column.type)


def _learn_categories(name: str, column: pa.ChunkedArray, bin_limit: int | None) -> Learned:
    counted = encoding.category_counts(column)
    rows = np.array(list(counted.values()), dtype=np.int64)
    bins = binning.learn_category_bins(name, list(counted), rows, bin_limit)
    known = bins.categories or {}
    categories = [{"category": c, "bin_id": bin_id, "row_count": counted[c]} for c, bin_id in known.items()]
    counts = kernel.count_column(column, bins)
    singles = [bin_id for c, bin_id in known.items() if counted[c] == 1]
    return Learned(bins, replace(counts, bins=binning.with_expected_unseen(counts.bins, singles)), categories)


def _learn_score(file: LineageFile, data: TrainingColumns) -> list[Learned]:
    """Bins of the score; a probability has bins even without training scores, but no reference counts."""
    record = file.record
    column = scores_of(data, record)
    if record.is_probability:
        bins = binning.probability_bins(SCORE)
        if column is None:
            return [Learned(bins, None)]
        if not encoding.is_numeric(column.type):
            raise InputError(
                f"{file.training_data}: column {record.score} has type {plain_type(column.type)}, expected a number"
            )
        counts = kernel.count_column(column, bins)
        return [Learned(binning.with_coarse_bins(bins, counts.bins[0]), counts)]
    if column is None:
        return []
    bins = _numeric_bins(file, SCORE, column, "score")
    return [Learned(bins, kernel.count_column(column, bins))]
