"""The users' own data as it appears at the top of the graph. Nothing here is ever materialized."""

import dagster as dg

from driftlake.config import Settings


def input_specs(settings: Settings, partitions: dg.DailyPartitionsDefinition) -> list[dg.AssetSpec]:
    """Telemetry, labels if there are any, and the lineage files."""
    places = {
        "telemetry": ("Predictions as served, a folder of Parquet per day.", settings.telemetry.path, partitions),
        "lineage_files": ("One YAML file per model version.", settings.lineage.path, None),
    }
    if settings.labels:
        places["labels"] = ("Labels, a folder of Parquet per arrival day.", settings.labels.path, partitions)
    return [
        dg.AssetSpec(
            key,
            description=description,
            group_name="inputs",
            partitions_def=partitions_def,
            metadata={"path": dg.MetadataValue.path(settings.resolve(path))},
        )
        for key, (description, path, partitions_def) in places.items()
    ]
