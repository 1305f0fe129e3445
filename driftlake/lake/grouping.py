"""Groups the rows of a table by the values of some columns. Not here: the use of a group."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa


def grouped(table: pa.Table, names: Sequence[str]) -> dict[tuple[Any, ...], pa.Table]:
    """The rows of each combination of values of columns without nulls, in their order.

    The table is read once, whatever the number of groups: a filter per group would read it as often as there are groups.
    It costs least where the rows of a group are consecutive.
    """
    if not table.num_rows:
        return {}
    encoded = [table[name].combine_chunks().dictionary_encode() for name in names]
    codes = np.zeros(table.num_rows, dtype=np.int64)
    for each in encoded:
        codes = codes * len(each.dictionary) + each.indices.to_numpy()
    if (np.diff(codes) < 0).any():
        order = np.argsort(codes, kind="stable")
        codes, table = codes[order], table.take(order)
        encoded = [each.take(pa.array(order)) for each in encoded]
    starts = np.flatnonzero(np.diff(codes, prepend=-1)).tolist()
    return {
        tuple(each[start].as_py() for each in encoded): table.slice(start, end - start)
        for start, end in pairwise([*starts, table.num_rows])
    }
