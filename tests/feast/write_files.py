"""Writes the Parquet files beside it with a local Feast: logs of a feature service, a saved dataset, and predictions.

Written by Python 3.11 and feast 0.67.0 with pandas 2.3.3, in an environment of its own: `python write_files.py`.
Features are served from Feast's online store and logged by `write_logged_features`. The Python SDK has the statuses
present and not found. The Go server also has null and too old, which are written here for one customer each. Times are
those of 1 March 2024; names of log files are new each time.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.feature_logging import FeatureServiceLoggingSource, LoggingConfig
from feast.infra.offline_stores.file_source import FileLoggingDestination, SavedDatasetFileStorage
from feast.types import Float64, String

FOLDER = Path(__file__).parent
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
PRESENT, NULL, TOO_OLD = 1, 2, 4
AGE = timedelta(days=30)
# customer, x, colour, and whether the values are older than Feast may serve
CUSTOMERS = (
    (1001, 0.25, "red", False),
    (1002, -1.5, "blue", False),
    (1003, 2.0, None, False),
    (1004, 0.5, "blue", True),
)
# customers of each request; Feast does not know one of them
REQUESTS = ((1001,), (1002, 1003), (1004,), (1005,))


def store(folder: Path) -> FeatureStore:
    """A project whose features were written half an hour ago, those that are too old two months ago."""
    now = datetime.now(UTC)
    written = [now - (2 * AGE if is_old else timedelta(minutes=30)) for *_, is_old in CUSTOMERS]
    frame = pd.DataFrame([row[:3] for row in CUSTOMERS], columns=["customer_id", "x", "colour"])
    frame.assign(event_timestamp=written).to_parquet(folder / "stats.parquet")
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
    view = FeatureView(
        name="customer_stats",
        entities=[customer],
        ttl=AGE,
        schema=[Field(name="x", dtype=Float64), Field(name="colour", dtype=String)],
        source=FileSource(path=str(folder / "stats.parquet"), timestamp_field="event_timestamp"),
    )
    service = FeatureService(
        name="credit",
        features=[view],
        logging_config=LoggingConfig(destination=FileLoggingDestination(path=str(FOLDER / "logs"))),
    )
    config = RepoConfig(
        project="credit",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        offline_store={"type": "dask"},
        entity_key_serialization_version=3,
    )
    made = FeatureStore(config=config)
    made.apply([customer, view, service])
    made.materialize(now - 3 * AGE, now)
    return made


def served(
    made: FeatureStore, service: FeatureService, number: int, customers: tuple[int, ...]
) -> list[dict[str, Any]]:
    """The rows of a request as the server of Feast logs them."""
    response = made.get_online_features(service, [{"customer_id": each} for each in customers], full_feature_names=True)
    names = [name for name in response.proto.metadata.feature_names.val if name != "customer_id"]
    vectors = dict(zip(response.proto.metadata.feature_names.val, response.proto.results, strict=True))
    values = response.to_dict()
    moment = NOON + timedelta(minutes=number)
    moved = moment - datetime.now(UTC)
    rows = []
    for place, customer in enumerate(customers):
        row: dict[str, Any] = {"customer_id": customer}
        for name in names:
            value, status = values[name][place], vectors[name].statuses[place]
            known = vectors[name].event_timestamps[place].seconds
            row[name] = value
            row[f"{name}__status"] = said(status, value, datetime.fromtimestamp(known, UTC))
            row[f"{name}__timestamp"] = int(known + moved.total_seconds()) // 60 * 60 if known else 0
        rows.append(row | {"__log_timestamp": moment, "__log_date": moment.date(), "__request_id": f"request-{number}"})
    return rows


def said(status: int, value: Any, known: datetime) -> int:
    """The status of a value as the Go server gives it."""
    if status != PRESENT:
        return status
    return TOO_OLD if datetime.now(UTC) - known > AGE else NULL if value is None else PRESENT


def main() -> None:
    for name in ("logs", "saved", "predictions"):
        shutil.rmtree(FOLDER / name, ignore_errors=True)
    with TemporaryDirectory() as temporary:
        made = store(Path(temporary))
        service = made.get_feature_service("credit")
        schema = FeatureServiceLoggingSource(service, "credit").get_schema(made.registry)
        rows = [row for number, customers in enumerate(REQUESTS) for row in served(made, service, number, customers)]
        for part in (rows[:2], rows[2:]):
            made.write_logged_features(pa.Table.from_pylist(part, schema=schema), service)
        asked = pd.DataFrame(
            {
                "customer_id": [1001, 1002, 1003] * 100,
                "event_timestamp": [datetime.now(UTC) - timedelta(seconds=place) for place in range(300)],
            }
        )
        (FOLDER / "saved").mkdir()
        made.create_saved_dataset(
            from_=made.get_historical_features(asked, features=["customer_stats:x", "customer_stats:colour"]),
            name="credit_training",
            storage=SavedDatasetFileStorage(str(FOLDER / "saved" / "credit_training.parquet")),
        )
    # the service that predicts writes its own log; it asked for customer 1003 and never scored 1004
    predicted = [
        ("request-0", 1001, 0.75),
        ("request-1", 1002, 0.25),
        ("request-1", 1003, 0.5),
        ("request-3", 1005, 0.1),
    ]
    (FOLDER / "predictions").mkdir()
    pq.write_table(
        pa.table(
            {
                "correlation_id": [f"loan-{place}" for place in range(4)],
                "request_id": [request for request, *_ in predicted],
                "customer_id": [customer for _, customer, _ in predicted],
                "event_time": pa.array(
                    [NOON + timedelta(minutes=place, seconds=1) for place in range(4)], pa.timestamp("us", "UTC")
                ),
                "model_id": ["credit"] * 4,
                "model_version": ["v2"] * 4,
                "score": [score for *_, score in predicted],
            }
        ),
        FOLDER / "predictions" / "part-0.parquet",
    )


if __name__ == "__main__":
    main()
