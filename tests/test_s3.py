"""Telemetry, labels, lineage and the warehouse's data on a real S3 API: the rows of the same project on a disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from project import Project

from driftlake import doctor
from driftlake.errors import DriftlakeError
from driftlake.lineage import read_lineage_folder
from driftlake.maintenance import maintain
from driftlake.registration import register
from driftlake.warehouse import Warehouse

NAMED = ("feature_drift", "label_cohorts", "model_quality", "alerts", "prediction_profile")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket, and the usual AWS environment that leads to it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
    }.items():
        monkeypatch.setenv(name, value)
    made = boto3.resource("s3").Bucket("lake")
    made.create()
    return made


def upload(project: Project, bucket: Any) -> None:
    """Everything of a project that is input, and a configuration that names the copies."""
    for folder in ("telemetry", "labels", "lineage"):
        for path in (project.root / folder).rglob("*"):
            if path.is_file():
                bucket.upload_file(str(path), str(path.relative_to(project.root)))
    bucket.upload_file(str(project.root / "training.parquet"), "training.parquet")
    project.configure(
        telemetry={"path": "s3://lake/telemetry"},
        labels={"path": "s3://lake/labels"},
        lineage={"path": "s3://lake/lineage"},
        warehouse={"catalog": "sqlite:there/catalog.sqlite", "data": "s3://lake/warehouse"},
    )


def test_everything_on_s3_gives_the_rows_of_a_disk(tmp_path: Path, bucket: Any) -> None:
    project = Project(tmp_path / "project")
    for number in (1, 2):
        project.telemetry(number)
        project.labels(number)
    project.run(1, 2)
    here = project.contents(*NAMED)
    upload(project, bucket)
    with Warehouse.open(project.settings) as warehouse:
        register(warehouse, project.settings, read_lineage_folder(project.settings))
    project.run(1, 2)
    assert project.contents(*NAMED) == here
    assert any(entry.key.startswith("warehouse/") for entry in bucket.objects.all())
    findings = list(doctor.examine(project.root / "driftlake.yaml"))
    assert [finding.message for finding in findings if not finding.is_well] == []


def test_maintenance_deletes_objects_that_nothing_needs(tmp_path: Path, bucket: Any) -> None:
    project = Project(tmp_path / "project", warehouse={"catalog": "sqlite:there.sqlite", "data": "s3://lake/upkeep"})
    for number in (1, 2, 3):
        project.telemetry(number)
        project.run(number, number, until="profiles")
    bucket.put_object(Key="upkeep/main/alerts/of-a-killed-run.parquet", Body=b"PAR1")
    rows = project.contents()
    for days_later in (0, 4):
        with Warehouse.open(project.settings) as warehouse:
            now = datetime.now(UTC) + timedelta(days=days_later)
            done = maintain(warehouse, project.settings, now=now)
    assert (done.deleted_count > 3, done.orphan_count) == (True, 1)
    assert project.contents() == rows
    assert len([*bucket.objects.filter(Prefix="upkeep/")]) == done.after.file_count


@pytest.mark.parametrize(("place", "says"), [("s3://nowhere/telemetry", "nowhere"), ("s3://lake/nothing", "nothing")])
def test_a_bucket_or_prefix_that_is_not_there_is_named_before_any_work(
    tmp_path: Path, bucket: Any, place: str, says: str
) -> None:
    project = Project(tmp_path / "project")
    project.configure(telemetry={"path": place})
    with pytest.raises(DriftlakeError, match=says):
        project.run(1, 1)
    assert project.rows("select * from partition_runs") == []
    [found] = [one for one in doctor.examine(project.root / "driftlake.yaml") if one.subject == "telemetry"]
    assert not found.is_well
