"""Mappings of the columns of other systems to ours, in YAML files. Not here: what a mapping says (`otlp_mapping`, `feast_mapping`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from driftlake.config.base import Section
from driftlake.config.strict_yaml import parse_yaml
from driftlake.errors import InputError

# Placeholder in a proposal for what the sample does not show.
UNKNOWN = "FILL_IN"
REQUIRED = ("model_id", "model_version")

Mapping = TypeVar("Mapping", bound=Section)


def require_distinct(columns: Sequence[str]) -> None:
    """Raises ValueError if a column is mapped twice; upper and lower case do not count, as in SQL."""
    counts = Counter(name.lower() for name in columns)
    if twice := [name for name in columns if counts[name.lower()] > 1]:
        raise ValueError(f"the column {twice[0]} occurs twice; upper and lower case do not count")


def read_mapping(kind: type[Mapping], path: Path, *, command: str) -> Mapping:
    """The mapping in a YAML file. Raises ConfigurationError with key and line of each problem."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}",
            hint=f"propose a mapping with `driftlake import {command} FILES --propose`",
        ) from error
    return parse_yaml(kind, path, text)
