"""Metrics of the newest day, as a file for the textfile collector of Prometheus' node exporter.

Not here: notices (`driftlake.delivery.channels`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from driftlake.lake.warehouse import Warehouse


def write_metrics(
    warehouse: Warehouse, path: Path, day: date, incidents: Sequence[Mapping[str, Any]], undelivered_count: int
) -> None:
    """Write the metrics of `day`; the file is replaced whole, so a scrape never sees half of it."""
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

    registry = CollectorRegistry()

    def gauge(name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"driftlake_{name}", meaning, labels, registry=registry)

    newest = gauge("newest_day_timestamp_seconds", "Start (UTC) of the newest day that was processed.")
    newest.set(datetime.combine(day, time(), UTC).timestamp())
    gauge("undelivered_notices", "Notices of incidents that could not be delivered to a channel.").set(
        undelivered_count
    )
    unsettled = gauge("open_incidents", "Open incidents.", ["model_id", "severity", "kind", "pages"])
    for incident in incidents:
        if incident["state"] != "resolved":
            pages = "true" if incident["pages"] else "false"
            unsettled.labels(incident["model_id"] or "", incident["severity"], incident["kind"] or "", pages).inc()
    verdict = gauge(
        "model_verdict", "1 for the verdict of the newest day.", ["model_id", "model_version", "deployment", "verdict"]
    )
    for row in warehouse.query("report/verdicts", day=day).to_pylist():
        verdict.labels(row["model_id"], row["model_version"], row["deployment"], row["verdict"]).set(1)
    alerts = gauge("alerts", "Alerts of the newest day.", ["model_id", "rule", "severity"])
    for row in warehouse.query("alert_counts", day=day).to_pylist():
        alerts.labels(row["model_id"] or "", row["rule"], row["severity"]).set(row["alert_count"])
    outcomes = gauge("partition_is_complete", "Whether all input of the newest day was counted.", ["stage"])
    for row in warehouse.sql("select stage, outcome from current_runs where dt = ? order by stage", [day]).to_pylist():
        outcomes.labels(row["stage"]).set(row["outcome"] in {"complete", "empty"})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), registry)
