"""Features that a column holds as JSON text: every row is parsed once, whatever the number of features.

Not here: which column that is (`driftlake.inputs.features`), and counting (`driftlake.profiles.kernel`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import duckdb
import pyarrow as pa


def parsed_json(column: pa.ChunkedArray, names: Sequence[str]) -> pa.Table:
    """The values of the named keys as text, one column each; null where a row lacks the key or is not a JSON object."""
    wanted = json.dumps(dict.fromkeys(names, "VARCHAR"))
    with duckdb.connect() as connection:
        # shards are already counted by several threads
        connection.execute("set threads = 1")
        connection.register("rows", pa.table({"content": column}))
        parsed = connection.execute(
            "select case when json_valid(content) and json_type(content) = 'OBJECT'"
            " then json_transform(content, $wanted::json) end as features from rows",
            {"wanted": wanted},
        ).to_arrow_table()
    struct = parsed.column("features").combine_chunks()
    return pa.table({name: pa.compute.struct_field(struct, [place]) for place, name in enumerate(names)})
