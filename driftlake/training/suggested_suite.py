"""Writes a suite of Great Expectations from the training data of a version, for users to edit.

Not here: checking rows with it (`driftlake.contract.custom_suites`).
"""

from __future__ import annotations

import json
from typing import Any

from driftlake.errors import ConfigurationError
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import ModelVersion, load_versions
from driftlake.maths.binning import FeatureBins

# Features with more categories get no expectation, because nobody reads such a list.
_LISTED_CATEGORIES = 100
# Share of the values that must be as in training, because new values may occur occasionally.
_MOSTLY = 0.95


def suggest_suite(warehouse: Warehouse, model_id: str, model_version: str) -> str:
    """JSON of a suite with the range or the categories of every feature of a registered version, as warnings.

    Raises ConfigurationError if there is no such version.
    """
    versions = load_versions(warehouse)
    version = versions.get((model_id, model_version))
    if version is None:
        known = ", ".join(f"{model} {name}" for model, name in versions) or "none"
        raise ConfigurationError(f"{model_id} {model_version} is not registered", hint=f"registered are: {known}")
    suite = {"name": f"telemetry_{model_id}", "expectations": _expectations(version), "meta": {}}
    return json.dumps(suite, indent=2, ensure_ascii=False)


def _expectations(version: ModelVersion) -> list[dict[str, Any]]:
    found = (_expectation(name, bins) for name, bins in version.features.items())
    return [expectation for expectation in found if expectation]


def _expectation(feature: str, bins: FeatureBins) -> dict[str, Any] | None:
    """The expectation of a feature; None if it has neither a range nor categories to list."""
    arguments: dict[str, Any] = {"column": feature, "mostly": _MOSTLY}
    if bins.grid is not None:
        kind = "expect_column_values_to_be_between"
        arguments |= {"min_value": float(bins.borders[0]), "max_value": float(bins.borders[-1])}
    elif bins.categories and len(bins.categories) <= _LISTED_CATEGORIES:
        kind = "expect_column_values_to_be_in_set"
        arguments |= {"value_set": sorted(bins.categories)}
    else:
        return None
    name = f"{feature} is as in training"
    return {"type": kind, "kwargs": arguments, "severity": "warning", "meta": {"name": name}}
