"""The sources of input: the name of each, and the setting with its location.

Not here: the columns of their files (driftlake.inputs.columns), reading them (driftlake.inputs.sources).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Files that users deliver. Sources with a folder per day have the names of the column `source` of the tables."""

    name: str
    # key of its path in driftlake.yaml; without it there is no such input
    setting: str
    description: str
    # a folder dt=YYYY-MM-DD per day
    is_daily: bool = True


TELEMETRY = Source("telemetry", "telemetry.path", "Predictions as served, a folder of Parquet per day.")
EXPLANATIONS = Source(
    "explanations", "telemetry.shap.path", "SHAP values that are already summed, a folder of Parquet per day."
)
OFFLINE_VALUES = Source(
    "offline_values",
    "telemetry.offline.path",
    "Features computed offline, a folder of Parquet per day of the predictions.",
)
LABELS = Source("labels", "labels.path", "Labels, a folder of Parquet per arrival day.")
LINEAGE_FILES = Source("lineage_files", "lineage.path", "One YAML file per model version.", is_daily=False)

SOURCES = (TELEMETRY, EXPLANATIONS, OFFLINE_VALUES, LABELS, LINEAGE_FILES)
