"""Delivery: sends notices of incidents and writes metrics. A failure here never fails a run.

Not here: channels and the texts of notices (`driftlake.delivery`).
"""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from assets.stage import failures_explained
from driftlake.config import Settings
from driftlake.delivery.channels import current_incidents, deliver
from driftlake.delivery.prometheus import write_metrics
from driftlake.lake.runs import newest_day
from driftlake.lake.warehouse import Warehouse


@dg.asset(
    group_name="action",
    deps=["alerts"],
    description="Sends notices of incidents to every channel of driftlake.yaml, one for each change, as of the "
    "newest day: deliveries. Writes the file for Prometheus, if configured.",
)
def delivery(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    with failures_explained():
        done = deliver(warehouse, settings, current_incidents(warehouse))
        undelivered = warehouse.query("delivery/undelivered").to_pylist()
        if settings.delivery.prometheus_file:
            path = Path(settings.resolve(settings.delivery.prometheus_file))
            write_metrics(
                warehouse,
                path,
                newest_day(warehouse),
                window_days=settings.drift.headline_window_days,
                undelivered_count=len(undelivered),
                now=datetime.now(UTC),
            )
    for row in undelivered:
        context.log.warning(
            "channel %s did not get the notice of %s: %s", row["channel"], row["incident_id"], row["error"]
        )
    return dg.MaterializeResult(
        metadata={"delivered": sum(attempt.error is None for attempt in done), "undelivered": len(undelivered)}
    )
