"""Sends metrics of driftlake to a receiver of Prometheus' remote write: the file of the newest day, or past days as OpenMetrics.

Run it in an environment of its own, because the client needs an older protobuf than driftlake's lock has:

    pip install opentelemetry-exporter-prometheus-remote-write==0.66b1 prometheus-client==0.26.0
    python remote_write.py /var/lib/node_exporter/driftlake.prom http://localhost:9090/api/v1/write

A third argument is the tenant of Mimir or Cortex (X-Scope-OrgID). User and password are taken from the variables
REMOTE_WRITE_USER and REMOTE_WRITE_PASSWORD. Exit code 1 if the receiver did not take everything.

The tests run it with the client if DRIFTLAKE_REMOTE_WRITE_PYTHON is the Python of that environment, and prometheus is installed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from opentelemetry.exporter.prometheus_remote_write import PrometheusRemoteWriteMetricsExporter
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import parser
from prometheus_client.openmetrics.parser import text_string_to_metric_families as of_open_metrics

# Far below the limits of receivers, which refuse requests that are too large as a whole.
SERIES_OF_A_REQUEST = 1000


def metrics(text: str, now_ns: int) -> Iterator[Metric]:
    """Gauges of a file; samples without a time are of now."""
    is_open_metrics = text.endswith("# EOF\n")
    families = (of_open_metrics if is_open_metrics else parser.text_string_to_metric_families)(text)
    for family in families:
        points = [
            NumberDataPoint(
                attributes=sample.labels,
                start_time_unix_nano=0,
                time_unix_nano=int(float(sample.timestamp) * 1e9) if sample.timestamp else now_ns,
                value=sample.value,
            )
            for sample in family.samples
        ]
        for first in range(0, len(points), SERIES_OF_A_REQUEST):
            data = Gauge(points[first : first + SERIES_OF_A_REQUEST])
            yield Metric(name=family.name, description="", unit="", data=data)


def main() -> int:
    """Send the file of the first argument to the address of the second."""
    file, address, *tenant = sys.argv[1:]
    user = os.environ.get("REMOTE_WRITE_USER")
    exporter = PrometheusRemoteWriteMetricsExporter(
        endpoint=address,
        headers={"X-Scope-OrgID": tenant[0]} if tenant else None,
        basic_auth={"username": user, "password": os.environ.get("REMOTE_WRITE_PASSWORD", "")} if user else None,
        resources_as_labels=False,
    )
    scope = InstrumentationScope("driftlake")
    taken = []
    for metric in metrics(Path(file).read_text(), time.time_ns()):
        of_scope = ScopeMetrics(scope=scope, metrics=[metric], schema_url="")
        sent = MetricsData([ResourceMetrics(resource=Resource({}), scope_metrics=[of_scope], schema_url="")])
        taken.append(exporter.export(sent) is MetricExportResult.SUCCESS)
    print(f"{sum(taken)} of {len(taken)} requests were taken", file=sys.stderr)
    return 0 if all(taken) else 1


if __name__ == "__main__":
    sys.exit(main())
