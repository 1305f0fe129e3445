"""The users' input data at the top of the asset graph. Nothing here is ever materialized.

Not here: reading them (`driftlake.inputs`).
"""

import dagster as dg

from driftlake.config import SOURCES, Settings


def input_specs(settings: Settings, partitions: dg.DailyPartitionsDefinition) -> list[dg.AssetSpec]:
    """One spec for every configured source."""
    return [
        dg.AssetSpec(
            source.name,
            description=source.description,
            group_name="inputs",
            partitions_def=partitions if source.is_daily else None,
            metadata={"path": dg.MetadataValue.path(location)},
        )
        for source in SOURCES
        if (location := settings.location_of(source))
    ]
