"""The sources of input: what each is called and which setting says where it is.

Not here: the columns of their files (driftlake.inputs.columns), reading them (driftlake.inputs.sources).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Files that users deliver; those of days are named as in the column `source` of the tables."""

    name: str
    # path in driftlake.yaml; there is no such input if it is not given
    setting: str
    description: str
    # a folder dt=YYYY-MM-DD per day
    is_daily: bool = True


TELEMETRY = Source("telemetry", "telemetry.path", "Predictions as served, a folder of Parquet per day.")
EXPLANATIONS = Source(
    "explanations", "telemetry.shap.path", "SHAP values that are already summed up, a folder of Parquet per day."
)
LABELS = Source("labels", "labels.path", "Labels, a folder of Parquet per arrival day.")
LINEAGE_FILES = Source("lineage_files", "lineage.path", "One YAML file per model version.", is_daily=False)

SOURCES = (TELEMETRY, EXPLANATIONS, LABELS, LINEAGE_FILES)
