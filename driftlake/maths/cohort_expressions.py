"""SQL expressions over sums of labels per prediction day and score bin, from which users define their own metrics.

Not here: the configured expressions (`driftlake.config.models`), and the use of their values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa

from driftlake.maths.arrays import Floats

# Sums of label_cohorts.
COLUMNS = (
    "positive_count",
    "negative_count",
    "number_count",
    "log_loss_sum",
    "squared_error_sum",
    "true_positive_count",
    "false_positive_count",
    "absolute_error_sum",
)


def check(expression: str) -> None:
    """Raise ValueError unless the expression is a number that can be computed from COLUMNS."""
    try:
        evaluated([expression], {name: np.zeros((1, 1)) for name in COLUMNS})
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{expression!r} is no SQL expression over {', '.join(COLUMNS)}: {reason}") from error


def evaluated(expressions: Sequence[str], columns: Mapping[str, Floats]) -> list[Floats]:
    """Values of each expression over columns of one shape, in that shape; nulls are 0."""
    shape = columns[COLUMNS[0]].shape
    cohorts = pa.table({name: columns[name].reshape(-1) for name in COLUMNS})
    selected = ", ".join(f"coalesce(({text})::double, 0) as value_{place}" for place, text in enumerate(expressions))
    with duckdb.connect(config={"enable_external_access": "false", "threads": "1"}) as connection:
        connection.register("cohorts", cohorts)
        found = connection.sql(f"select {selected} from cohorts").fetchnumpy()
    return [np.asarray(values, dtype=np.float64).reshape(shape) for values in found.values()]
