"""Proposes a mapping from the columns of logs of a Feast feature service, for a person to complete. No values are read.

Not here: what a mapping means (`feast_mapping`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from driftlake.connect.feast_files import find_logs
from driftlake.connect.feast_mapping import STATUS
from driftlake.connect.feast_rows import features_of, other_columns
from driftlake.connect.mapping_files import REQUIRED, UNKNOWN
from driftlake.errors import InputError
from driftlake.inputs.columns import TELEMETRY_COLUMNS
from driftlake.vocabulary.wording import counted, printable

_CONTENTS = """\
# A proposal from {files}: compare it with your service, complete it and remove what is not wanted.
# Other columns of the logs, join keys and data of requests: {others}.
# `columns` writes them as they are, `user_key` writes the pseudonym of one.
"""


def propose(logs: Sequence[Path], *, has_predictions: bool) -> str:
    """YAML of a mapping for logs like these. Raises InputError if none can be used."""
    files = find_logs(logs)
    features = features_of(files.columns)
    if not features:
        raise InputError(
            "\n".join(files.problems) or f"the logs have no columns that end with {STATUS}",
            hint="give the Parquet files to which Feast logs a feature service",
        )
    others = other_columns(files.columns)
    mapping: dict[str, Any] = {"features": _short_names(features, others)}
    if has_predictions:
        mapping["predictions"] = {"request_id": "request_id", "keys": {name: name for name in others}}
    else:
        mapping["constants"] = dict.fromkeys(REQUIRED, UNKNOWN)
    head = _CONTENTS.format(files=counted(len(files.paths), "file"), others=printable(", ".join(others)) or "none")
    return head + yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True)


def _short_names(features: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Each feature without its view, if that name is not taken."""
    taken = {column.name for column in TELEMETRY_COLUMNS} | {name.lower() for name in others}
    short = Counter(_short(feature).lower() for feature in features)
    return {
        feature if short[_short(feature).lower()] > 1 or _short(feature).lower() in taken else _short(feature): feature
        for feature in features
    }


def _short(feature: str) -> str:
    return feature.partition("__")[2] or feature
