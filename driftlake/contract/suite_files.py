"""Reads the users' suites of Great Expectations from JSON files and reports what is wrong with them.

Great Expectations is not imported. Not here: checking rows with them (`driftlake.contract.custom_suites`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from driftlake.config import Settings
from driftlake.errors import ConfigurationError

# The beginning of the file name says which rows a suite checks.
SOURCES = ("telemetry", "labels", "training")

# arguments of expectations that name columns
_OF_COLUMNS = ("column", "column_A", "column_B", "column_list", "column_set")


class _Expectation(BaseModel):
    type: str
    kwargs: dict[str, Any]
    severity: Literal["critical", "warning", "info"] = "critical"
    meta: dict[str, Any] | None = None
    description: str | None = None


class _Suite(BaseModel):
    name: str
    expectations: list[_Expectation]


@dataclass(frozen=True, slots=True)
class CustomExpectation:
    """An expectation of a suite file; `name` is the name that the user gave it, or its type."""

    file_name: str
    name: str
    type: str
    kwargs: Mapping[str, Any]
    severity: Literal["error", "warning"]
    description: str | None = None

    @property
    def column(self) -> str | None:
        """The column that it is about; None if there is none or more than one."""
        return self.kwargs.get("column")

    @property
    def columns(self) -> list[str]:
        """Columns that it needs; none for an expectation that a column exists."""
        if self.type == "expect_column_to_exist" or self.type.startswith("expect_table_"):
            return []
        named = [self.kwargs.get(argument) or [] for argument in _OF_COLUMNS]
        return [column for names in named for column in ([names] if isinstance(names, str) else names)]

    @property
    def sentence(self) -> str:
        """The expectation and the file that has it."""
        arguments = ", ".join(f"{name} {value}" for name, value in self.kwargs.items() if value is not None)
        return f"{self.file_name}: {self.description or f'{self.name} ({arguments})'}"


def read_suites(settings: Settings) -> dict[str, list[CustomExpectation]]:
    """The expectations of all suites in the folder, by source.

    Raises ConfigurationError naming a file that is not a suite, or an expectation that Great Expectations does not have.
    """
    suites: dict[str, list[CustomExpectation]] = {source: [] for source in SOURCES}
    for name, text in settings.suite_texts.items():
        if source := source_of(name):
            suites[source] += _expectations(settings.suite_folder / name, text)
    return suites


def source_of(name: str) -> str | None:
    """The source that a suite file of this name checks; None if the file is not read."""
    return next((source for source in SOURCES if name.startswith(source)), None)


def _expectations(path: Path, text: str) -> list[CustomExpectation]:
    try:
        suite = _Suite.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigurationError(
            f"{path} is not a suite of Great Expectations: {f'{place}: ' if place else ''}{first['msg']}",
            hint="use the format of Great Expectations: a name and expectations, each with a type and kwargs",
        ) from error
    if unknown := sorted({expectation.type for expectation in suite.expectations} - expectation_types()):
        raise ConfigurationError(
            f"{path}: Great Expectations has no {', '.join(unknown)}",
            hint="correct the type, e.g. expect_column_values_to_be_between",
        )
    return [
        CustomExpectation(
            path.name,
            str((expectation.meta or {}).get("name") or expectation.type),
            expectation.type,
            expectation.kwargs,
            "error" if expectation.severity == "critical" else "warning",
            expectation.description,
        )
        for expectation in suite.expectations
    ]


@cache
def expectation_types() -> frozenset[str]:
    """Types of the expectations of Great Expectations: the names of the modules that define them."""
    package = importlib.util.find_spec("great_expectations")
    assert package
    assert package.origin
    core = Path(package.origin).parent / "expectations" / "core"
    return frozenset(path.stem for path in core.glob("*expect*.py"))
