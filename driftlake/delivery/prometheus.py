"""Metrics for Prometheus: a file of the newest day for the textfile collector of its node exporter, and the past as OpenMetrics.

Not here: which metrics there are (`driftlake.delivery.metrics`), and notices (`driftlake.delivery.channels`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftlake.delivery.metrics import DAY_METRICS, FEATURE_LIMIT, RUN_METRICS, DayMetric
from driftlake.errors import ConfigurationError
from driftlake.lake import queries
from driftlake.lake.warehouse import Warehouse

if TYPE_CHECKING:
    from prometheus_client.metrics_core import GaugeMetricFamily


def write_metrics(
    warehouse: Warehouse, path: Path, day: date, *, window_days: int, undelivered_count: int, now: datetime
) -> None:
    """Write the metrics of `day`. The file is replaced as a whole, so a scrape never sees a half-written file.

    Drift is measured over windows of `window_days`.
    """
    from prometheus_client import write_to_textfile
    from prometheus_client.metrics_core import GaugeMetricFamily

    of_run = {
        "last_run_timestamp_seconds": now.timestamp(),
        "newest_day_timestamp_seconds": datetime.combine(day, time(), UTC).timestamp(),
        "undelivered_notices": undelivered_count,
    }
    families = [GaugeMetricFamily(each.full_name, each.meaning, of_run[each.name]) for each in RUN_METRICS]
    rows = _Rows(warehouse, day, day, window_days)
    with warehouse.one_snapshot():
        families += [_family(metric, rows.of(metric.rows), is_stamped=False) for metric in DAY_METRICS]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), _Collected(families))


def open_metrics(warehouse: Warehouse, first_day: date, last_day: date, *, window_days: int) -> Iterator[str]:
    """The metrics of days of the past in the format of OpenMetrics, in parts.

    A day has one sample of each series, at its end (UTC), with the values that were known then. Raises ConfigurationError if none of
    the days was processed, or the library that writes the format is not installed.
    """
    try:
        from prometheus_client.openmetrics.exposition import generate_latest
    except ImportError as error:
        raise ConfigurationError(
            "prometheus-client is not installed", hint="pip install 'driftlake[delivery]'"
        ) from error
    end = "# EOF\n"
    rows = _Rows(warehouse, first_day, last_day, window_days)
    with warehouse.one_snapshot():
        if not rows.of("stages"):
            raise ConfigurationError(
                f"no day from {first_day} to {last_day} has been processed",
                hint="`driftlake sql 'select min(dt), max(dt) from current_runs'` shows which days were",
            )
        for metric in DAY_METRICS:
            family = _family(metric, rows.of(metric.rows), is_stamped=True)
            # the library gives its function no types
            text = generate_latest(_Collected([family]))  # type: ignore[no-untyped-call]
            yield text.decode().removesuffix(end)
    yield end


@dataclass(slots=True)
class _Rows:
    """Rows of sql/metrics/ of some days, each file queried once."""

    warehouse: Warehouse
    first_day: date
    last_day: date
    window_days: int
    queried: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def of(self, name: str) -> list[dict[str, Any]]:
        if name not in self.queried:
            query = f"metrics/{name}"
            days = {"first_day": self.first_day, "last_day": self.last_day}
            values = days | {"window_days": self.window_days, "feature_limit": FEATURE_LIMIT}
            needed = {name: values[name] for name in queries.parameters(query)}
            self.queried[name] = self.warehouse.query(query, **needed).to_pylist()
        return self.queried[name]


@dataclass(frozen=True, slots=True)
class _Collected:
    """Metric families in the form that the library takes."""

    families: Sequence[GaugeMetricFamily]

    def collect(self) -> Sequence[GaugeMetricFamily]:
        return self.families


def _family(metric: DayMetric, rows: Sequence[dict[str, Any]], *, is_stamped: bool) -> GaugeMetricFamily:
    from prometheus_client.metrics_core import GaugeMetricFamily

    family = GaugeMetricFamily(metric.full_name, metric.meaning, labels=metric.labels)
    for row in rows:
        if row[metric.value] is not None:
            labels = [row[label] for label in metric.labels]
            family.add_metric(labels, row[metric.value], _end_of(row["dt"]) if is_stamped else None)
    return family


def _end_of(day: date) -> int:
    return int(datetime.combine(day + timedelta(days=1), time(), UTC).timestamp())
