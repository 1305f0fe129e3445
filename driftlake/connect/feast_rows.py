"""SQL of predictions with the features that Feast served for them. Pure functions from a mapping to text.

Columns that are not written have names that begin with import_, key: or status:. Not here: which files are read
(`feast_files`) and writing (`feast_import`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from driftlake.connect.feast_files import FILE
from driftlake.connect.feast_mapping import FEATURE_STATUS, STATUS, TIMESTAMP, FeastMapping
from driftlake.inputs.importable_files import LOGGED_AT, REQUEST_ID
from driftlake.lake.queries import literal, quote
from driftlake.maths.value_text import sql_id

# Statuses that Feast gives a value, the worst first; 1 means that there is a value.
STATUSES = {3: "not_found", 4: "too_old", 2: "null", 1: "value"}
# Status of a log row whose features have none, and of a prediction without a log row.
UNKNOWN, NOT_LOGGED = "unknown", "not_logged"


def other_columns(columns: Iterable[str]) -> list[str]:
    """The columns of logs that are neither features nor Feast's own: join keys, and data of requests."""
    names = set(columns)
    of_features = {name for feature in features_of(names) for name in (feature, feature + STATUS, feature + TIMESTAMP)}
    return sorted(name for name in names - of_features if not name.startswith("__"))


def features_of(columns: Iterable[str]) -> list[str]:
    """The features of logs: the columns that have a status."""
    names = set(columns)
    return sorted(name for name in names if name + STATUS in names)


def logged_rows(reading: str, mapping: FeastMapping, columns: Mapping[str, pa.DataType]) -> str:
    """Rows of the logs with the columns that are needed; a value that Feast did not find, or that is too old, is null."""
    selected = {
        "import_file": quote(FILE),
        "import_request": _id(REQUEST_ID, columns),
        "import_time": _instant(LOGGED_AT),
        # only the keys and request data together distinguish the rows of a request
        "import_entity": f"hash({', '.join(map(quote, other_columns(columns))) or 'null'})",
    }
    if mapping.predictions:
        selected |= {f"key:{key}": _id(key, columns) for key in mapping.predictions.keys}
    elif mapping.correlation_id != REQUEST_ID:
        selected["import_id"] = _id(mapping.correlation_id, columns)
    if mapping.user_key:
        selected["import_user"] = quote(mapping.user_key)
    selected |= {name: quote(own) for name, own in mapping.columns.items()}
    for name, feature in mapping.features.items():
        status = quote(feature + STATUS)
        selected[name] = f"if({status} = 1, {quote(feature)}, null)"
        # some Feast servers report a null as a value
        selected[f"status:{name}"] = f"if({status} = 1 and {quote(feature)} is null, 2, {status})"
    return f"select\n    {_listed(selected)}\nfrom {reading}"


def predicted_rows(reading: str, mapping: FeastMapping, columns: Mapping[str, pa.DataType]) -> str:
    """Rows of the predictions, with the columns by which their features are found."""
    assert mapping.predictions
    joined = mapping.predictions
    selected = {
        "import_file": quote(FILE),
        "import_row": "row_number() over ()",
        "import_request": _id(joined.request_id, columns),
        "import_time": _instant(joined.event_time),
        "import_id": _id(joined.correlation_id, columns),
    }
    selected |= {f"key:{key}": _id(own, columns) for key, own in joined.keys.items()}
    selected |= {name: quote(name) for name in kept_columns(mapping, columns)}
    return f"select\n    {_listed(selected)}\nfrom {reading}"


def kept_columns(mapping: FeastMapping, columns: Iterable[str]) -> list[str]:
    """The columns of predictions that are written as they are."""
    return [name for name in columns if name not in mapping.dropped]


def matched_rows(mapping: FeastMapping, kept: Iterable[str]) -> str:
    """A row for each prediction, with its day and its features: served and, if the mapping joins them, predicted."""
    if mapping.predictions is None:
        found_id = "import_request" if mapping.correlation_id == REQUEST_ID else "import_id"
        return (
            f"select\n    * exclude (import_request),\n    {found_id} as correlation_id,\n    import_time as event_time,\n"
            "    cast(import_time as date) as import_day,\n    1 as import_matches\nfrom served"
        )
    keys = "".join(
        f"\n        and {_column('predicted', key)} = {_column('served', key)}" for key in mapping.predictions.keys
    )
    of_served = ["import_user"] if mapping.user_key else []
    of_served += [*mapping.columns, *mapping.features, *(f"status:{name}" for name in mapping.features)]
    selected = [f"predicted.{quote(name)}" for name in ("import_id", "import_row", "import_time", *kept)]
    selected += [f"served.{quote(name)}" for name in of_served]
    listed = ",\n    ".join(selected)
    return f"""\
with found as (
    select
        predicted.import_row,
        count(*) as match_count,
        arg_min(served.rowid, (served.import_time, served.import_entity)) as row_number
    from predicted
    inner join served
        on predicted.import_request = served.import_request{keys}
        -- the features of another day are not those of this prediction
        and abs(date_diff('second', predicted.import_time, served.import_time)) <= 86400
    group by predicted.import_row
)

select
    {listed},
    cast(predicted.import_time as date) as import_day,
    coalesce(found.match_count, 0) as import_matches
from predicted
left join found on predicted.import_row = found.import_row
left join served on found.row_number = served.rowid"""


def day_rows(mapping: FeastMapping, kept: Iterable[str], user_columns: Iterable[str]) -> str:
    """The rows of matched_day as they are written."""
    first = () if mapping.predictions else ("correlation_id", "event_time")
    selected = {name: quote(name) for name in (*first, *kept)}
    selected |= {name: literal(value) for name, value in mapping.constants.items()}
    selected |= {name: quote(name) for name in user_columns}
    selected |= {name: quote(name) for name in (*mapping.columns, *mapping.features)}
    selected[FEATURE_STATUS] = _worst_status(mapping)
    source = "matched_day" + (" left join pseudonyms using (import_user)" if mapping.user_key else "")
    order = "import_time, import_id, import_row" if mapping.predictions else "event_time, correlation_id, import_entity"
    return f"select\n    {_listed(selected)}\nfrom {source}\norder by {order}"


def status_counts(mapping: FeastMapping) -> str:
    """Number of values in matched_day by feature and status."""
    counts = [
        f"select {literal(name)} as feature, {_named(f'status:{name}')} as status, count(*) as row_count\n"
        "from matched_day where import_matches > 0 group by status"
        for name in mapping.features
    ]
    return "\nunion all\n".join(counts)


def _named(column: str) -> str:
    cases = " ".join(f"when {status} then {literal(name)}" for status, name in STATUSES.items())
    return f"case {quote(column)} {cases} else {literal(UNKNOWN)} end"


def _worst_status(mapping: FeastMapping) -> str:
    every = f"[{', '.join(quote(f'status:{name}') for name in mapping.features)}]"
    cases = "".join(
        f"\n        when list_contains({every}, {status}) then {literal(name)}" for status, name in STATUSES.items()
    )
    return f"case\n        when import_matches = 0 then {literal(NOT_LOGGED)}{cases}\n        else {literal(UNKNOWN)}\n    end"


def _id(column: str, columns: Mapping[str, pa.DataType]) -> str:
    return sql_id(quote(column), columns[column])


def _instant(column: str) -> str:
    return f"cast(timezone('UTC', cast({quote(column)} as timestamptz)) as timestamp)"


def _column(relation: str, key: str) -> str:
    return f"{relation}.{quote(f'key:{key}')}"


def _listed(selected: Mapping[str, str]) -> str:
    return ",\n    ".join(f"{expression} as {quote(name)}" for name, expression in selected.items())
