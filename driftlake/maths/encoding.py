"""Arrow columns as numpy arrays: numbers, and positions among categories.

Not here: counting them (`driftlake.profiles.kernel`).
"""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from driftlake.maths.arrays import Floats, Indices
from driftlake.maths.binning import FeatureBins
from driftlake.maths.numeric_bins import learnable
from driftlake.maths.value_text import category_text, has_text, is_text, plain_type, texts_of

Column: TypeAlias = "pa.Array | pa.ChunkedArray"


def is_numeric(kind: pa.DataType) -> bool:
    """Whether columns of this Arrow type can be counted as numbers."""
    return bool(pat.is_integer(kind) or pat.is_floating(kind) or pat.is_decimal(kind))


def is_category(kind: pa.DataType) -> bool:
    """Whether columns of this Arrow type can be counted as categories."""
    return has_text(kind) or is_numeric(kind)


def fits(kind: pa.DataType, bins: FeatureBins) -> bool:
    """Whether a production column of this Arrow type can be counted into `bins`; a column without type holds only nulls."""
    if pat.is_null(kind):
        return True
    return is_numeric(kind) or bool(pat.is_boolean(kind)) if bins.grid else is_category(kind)


def float_values(column: Column) -> Floats:
    """A numeric column as float64 with nan for null; not copied if Arrow already stores it that way."""
    if is_text(column.type) or pat.is_dictionary(column.type):
        column = _numbers_of_text(column)
    if not pat.is_floating(column.type) and not pat.is_integer(column.type):
        column = column.cast(pa.float64())
    values: Floats = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    return values.astype(np.float64, copy=False)


def _numbers_of_text(column: Column) -> Column:
    """Text as numbers, null where it is not a number; for features that are stored as JSON."""
    column = column.cast(plain_type(column.type))
    is_number = pc.match_substring_regex(column, r"^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$")
    return pc.if_else(is_number, column, pa.scalar(None, column.type)).cast(pa.float64())


def learnable_values(column: Column) -> Floats:
    """The values of a numeric column from which bins can be learned."""
    return learnable(float_values(column))


def category_counts(column: Column) -> dict[str, int]:
    """Rows per category, missing ones left out."""
    return counts_of_names(*encode(column))


def counts_of_names(positions: Indices, names: list[str | None]) -> dict[str, int]:
    """Rows per name of an encoded column, missing ones left out."""
    totals: Counter[str] = Counter()
    for name, count in zip(names, np.bincount(positions, minlength=len(names) + 1).tolist(), strict=False):
        if name is not None and count:
            totals[name] += count
    return totals


def encode(column: Column) -> tuple[Indices, list[str | None]]:
    """Positions of the rows of a column among its categories, shape (rows,), and the text of each category.

    Null rows have the position after the last category; categories without a text (nan) have None.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    if pat.is_null(column.type):
        column = column.cast(pa.string())
    if isinstance(column, pa.ExtensionArray) and pat.is_fixed_size_binary(column.storage.type):
        column = column.storage
    encoded = column if pat.is_dictionary(column.type) else column.dictionary_encode()
    # this index type has room for the position that stands for null, whatever type the file had
    indices = encoded.indices.cast(pa.int32())
    if indices.null_count:
        indices = indices.fill_null(len(encoded.dictionary))
    positions: Indices = indices.to_numpy(zero_copy_only=False)
    return positions, texts_of(encoded.dictionary)


def encode_named(column: Column) -> tuple[Indices, list[str | None]]:
    """The same of segments or classes, by their names; several categories may have one name."""
    positions, texts = encode(column)
    return positions, [None if text is None else category_text(text) for text in texts]


def stored_bins(bins: FeatureBins, column: Column) -> Indices:
    """Bin of each row, shape (rows,)."""
    if bins.grid is None:
        positions, names = encode(column)
        return bins.bins_of_categories(names)[positions]
    return bins.bin_ids(float_values(column))
