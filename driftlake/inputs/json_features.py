"""Features that a column holds as JSON text: every row is parsed once, whatever the number of features.

Not here: which column that is (`driftlake.inputs.features`), and counting (`driftlake.profiles.kernel`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from driftlake.inputs.parquet_sql import json_text
from driftlake.lake.queries import quote


def parsed_json(column: pa.ChunkedArray, names: Sequence[str]) -> pa.Table:
    """The values of the named keys as text, one column each; null where a row lacks the key or is not a JSON object."""
    wanted = json.dumps(dict.fromkeys(names, "JSON"))
    texts = [json_text(f"struct_extract_at(features, {place})") for place in range(1, len(names) + 1)]
    columns = ", ".join(f"{text} as {quote(str(place))}" for place, text in enumerate(texts))
    with duckdb.connect() as connection:
        # shards are already counted by several threads
        connection.execute("set threads = 1")
        connection.register("rows", pa.table({"content": column}))
        parsed = connection.execute(
            f"select {columns} from (select case when json_valid(content) and json_type(content) = 'OBJECT'"
            " then json_transform(content, $wanted::json) end as features from rows)",
            {"wanted": wanted},
        ).to_arrow_table()
    return parsed.rename_columns(list(names)).combine_chunks()
