"""Telemetry, labels, lineage, explanations and the warehouse's data on a real S3 API: the rows of the same project on a disk."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data import day
from deltalake import DeltaTable
from lakehouse_tables import create_iceberg, write_delta
from project import Project, without_wheels
from pyiceberg.transforms import IdentityTransform
from s3_service import Service

from driftlake.alerts.exemplars import find_exemplars
from driftlake.contract.sample_gate import check_files
from driftlake.errors import InputError, StorageError, WarehouseError
from driftlake.inputs.lakehouse import _iceberg_options
from driftlake.inputs.late_files import late_ranges
from driftlake.inputs.listing import list_input
from driftlake.inputs.partitions import read_partitions
from driftlake.lake import duckdb_extensions, s3
from driftlake.lake.catalog import catalog_of
from driftlake.lake.maintenance import forget_history, maintain
from driftlake.lake.restricted_sql import restrict
from driftlake.lake.shell import answer
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.privacy.erasure import erase, identity_of
from driftlake.provenance.trace import explain
from driftlake.setup import doctor
from driftlake.training.registration import register

NAMED = ("feature_drift", "label_cohorts", "model_quality", "alerts", "prediction_profile", "importance_profile")
EVERYTHING = ["telemetry", "labels", "lineage", "explanations", "warehouse"]


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides the credentials of the user who runs the tests."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def known(s3_service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service, and the environment that leads to it."""
    for name, value in s3_service.environment.items():
        monkeypatch.setenv(name, value)
    return s3_service


def filled(root: Path) -> Project:
    project = Project(root, telemetry={"path": "telemetry", "shap": {"path": "explanations"}})
    for number in (1, 2):
        project.telemetry(number)
        project.labels(number)
        folder = project.root / "explanations" / f"dt={day(number)}"
        folder.mkdir(parents=True)
        sums = {"row_count": 300, "absolute_sum": 30.0, "signed_sum": 3.0}
        rows = [{"model_id": "credit", "model_version": "v1", "feature": name, **sums} for name in ("x", "colour")]
        pq.write_table(pa.Table.from_pylist(rows), folder / "part-0.parquet")
    return project


def moved(project: Project, service: Service, places: list[str]) -> None:
    """Copy inputs to S3, a prefix per test, and name the copies in the configuration."""
    prefix = project.root.name
    service.upload_folder(project.root, prefix)
    at = {name: f"s3://lake/{prefix}/{name}" if name in places else name for name in EVERYTHING}
    data = at["warehouse"] if "warehouse" in places else "there/data"
    project.configure(
        # a trailing slash makes no difference
        telemetry={"path": f"{at['telemetry']}/", "shap": {"path": at["explanations"]}},
        labels={"path": at["labels"]},
        lineage={"path": at["lineage"]},
        warehouse={"catalog": "sqlite:there/catalog.sqlite", "data": data},
    )
    with Warehouse.open(project.settings) as warehouse:
        register(warehouse, project.settings, read_lineage_folder(project.settings))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The rows of the project on a disk."""
    project = filled(tmp_path_factory.mktemp("here"))
    project.run(1, 2)
    found = project.contents(*NAMED)
    assert all(rows for name, rows in found.items() if name != "alerts")
    return found


@pytest.mark.parametrize(
    "places",
    [["telemetry"], ["labels"], ["lineage"], ["explanations"], ["warehouse"], EVERYTHING],
    ids="+".join,
)
def test_inputs_on_s3_give_the_rows_of_inputs_on_disk(
    tmp_path: Path, known: Service, here: dict[str, Any], places: list[str]
) -> None:
    project = filled(tmp_path / "-".join(places))
    moved(project, known, places)
    s3.require_places(project.settings.input_locations)
    project.run(1, 2)
    assert project.contents(*NAMED) == here
    findings = list(doctor.examine(project.root / "driftlake.yaml"))
    assert [finding.message for finding in findings if not finding.is_well] == []


def test_maintenance_deletes_objects_that_nothing_needs(tmp_path: Path, known: Service) -> None:
    project = Project(tmp_path / "project", warehouse={"catalog": "sqlite:there.sqlite", "data": "s3://lake/upkeep"})
    for number in (1, 2, 3):
        project.telemetry(number)
        project.run(number, number, until="profiles")
    known.upload({"upkeep/main/alerts/of-a-killed-run.parquet": b"PAR1"})
    rows = project.contents()
    for days_later in (0, 402):
        with Warehouse.open(project.settings) as warehouse:
            now = datetime.now(UTC) + timedelta(days=days_later)
            done = maintain(warehouse, project.settings, now=now)
    assert (done.deleted_count > 3, done.orphan_count) == (True, 1)
    assert project.contents() == rows
    assert known.client("s3").list_objects_v2(Bucket="lake", Prefix="upkeep/")["KeyCount"] == done.after.file_count
    known.upload({"beside.csv": b"a\n1\n"})
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        restrict(warehouse.connection, "s3://lake/upkeep")
        assert answer(warehouse, "from feature_profile").num_rows == len(rows["feature_profile"])
        with pytest.raises(WarehouseError, match="s3://lake/beside.csv"):
            answer(warehouse, "from read_csv('s3://lake/beside.csv')")


def test_a_user_is_erased_from_objects(tmp_path: Path, known: Service) -> None:
    project = Project(tmp_path / "project", warehouse={"catalog": "sqlite:there.sqlite", "data": "s3://lake/erasure"})
    row = "now() + interval (range) second, 'mute', 'rule', 'drift', date '2024-03-01', date '2024-03-02', 'of person-1734', 'ann'"
    with Warehouse.open(project.settings) as warehouse:
        warehouse.connection.execute(f"insert into alert_actions select {row} from range(100)")

    def holding() -> list[str]:
        s3 = known.client("s3")
        listed = s3.list_objects_v2(Bucket="lake", Prefix="erasure/").get("Contents", [])
        stored = {each["Key"]: s3.get_object(Bucket="lake", Key=each["Key"])["Body"].read() for each in listed}
        return [
            name
            for name, content in stored.items()
            if "person-1734" in str(pq.read_table(BytesIO(content)).to_pylist())
        ]

    assert len(holding()) == 1
    identity = identity_of(project.settings, "user_key", "person-1734")
    with Warehouse.open(project.settings) as warehouse:
        [found] = erase(warehouse, identity, erased_by="ann", page_count=0, is_purged=True)
        forget_history(warehouse, catalog_of(project.settings))
    assert (found.table, found.row_count, holding()) == ("alert_actions", 100, [])


def test_samples_on_s3_are_checked_whatever_else_is_local(tmp_path: Path, known: Service) -> None:
    project = Project(tmp_path / "project")
    written = project.telemetry(1)
    known.upload({"samples/dt=2026-01-01/part [0] & 1%20.parquet": written.read_bytes(), "samples/no.parquet": b"no"})
    paths = ["s3://lake/samples/dt=2026-01-01/part [0] & 1%20.parquet", "s3://lake/samples/no.parquet"]
    checked = dict(check_files(project.settings, None, paths, "telemetry"))
    assert [[fault.rule for fault in checked[path]] for path in paths] == [[], ["file_is_readable"]]
    with pytest.raises(InputError, match="there is no file s3://lake/samples/gone.parquet"):
        list(check_files(project.settings, None, ["s3://lake/samples/gone.parquet"], "telemetry"))


def test_training_data_on_s3_may_be_a_folder(tmp_path: Path, known: Service) -> None:
    project = Project(tmp_path / "project")
    project.configure(lineage={"path": "lineage", "training_roots": ["s3://lake/training"]})
    known.upload({"training/part.parquet": (project.root / "training.parquet").read_bytes()})
    project.register("v2", training_data="s3://lake/training/")
    fingerprints = project.rows("select count(*), count(distinct dataset_fingerprint) from training_runs")
    assert fingerprints == [(2, 1)]


def test_tables_on_s3_are_read_through_their_logs(tmp_path: Path, known: Service) -> None:
    rows = pa.table({"x": [1, 2], "dt": pa.array([day(1), day(2)], pa.date32())})
    write_delta(tmp_path / "delta", [rows], ["dt"])
    DeltaTable(tmp_path / "delta").delete("x = 2")
    known.upload_folder(tmp_path / "delta", "tables/delta")
    place = "s3://lake/tables/iceberg"
    iceberg = create_iceberg(tmp_path / "i", rows.schema, {"dt": IdentityTransform()}, place, **_iceberg_options(place))
    iceberg.append(rows.slice(0, 1))
    for kind in ("delta", "iceberg"):
        [partition] = read_partitions(f"s3://lake/tables/{kind}", [day(1)], [], {})
        assert [(file.row_count, file.refusal) for file in partition.files] == [(1, None)]
        assert list_input(f"s3://lake/tables/{kind}").days == [day(1)]


def test_a_file_that_comes_late_on_s3_is_seen_and_exemplars_are_read(tmp_path: Path, known: Service) -> None:
    project = filled(tmp_path / "late")
    moved(project, known, EVERYTHING)
    project.run(1, 2)
    about = {"model_id": "credit", "model_version": "v1", "deployment": "production", "feature": "x"}
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        assert late_ranges(warehouse, project.settings) == []
        chain = explain(warehouse, project.settings, "feature_drift", day=day(1))
        assert chain.files
        assert all(file["path"].startswith("s3://lake/late/") for file in chain.files)
        assert find_exemplars(warehouse, project.settings, {"signal": "feature_drift.psi", **about}, day(1))
    more = project.telemetry(1, name="part-1", correlation_id=["late"], x=[0.0], colour=["red"], score=[0.5])
    known.upload({f"late/telemetry/dt={day(1)}/part-1.parquet": more.read_bytes()})
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        [late] = late_ranges(warehouse, project.settings)
    assert (late.first_day, late.last_day) == (day(1), day(2))


SECRET = "type s3, key_id '{0.key_id}', secret '{0.secret}', endpoint '{1}', use_ssl false, url_style 'path', scope 's3://lake'"


def profile(service: Service, home: Path, config: str) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(f"[profile night]\n{config}\nendpoint_url = {service.address}\n")
    keys = f"aws_access_key_id = {service.key_id}\naws_secret_access_key = {service.secret}\n"
    (home / ".aws" / "credentials").write_text(f"[team]\n{keys}[night]\n{keys}")


def by_profile(service: Service, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(service, home, "region = us-east-1")
    monkeypatch.setenv("AWS_PROFILE", "night")


def by_assumed_role(service: Service, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile(service, home, f"role_arn = {service.role_arn}\nsource_profile = team\nregion = us-east-1")
    monkeypatch.setenv("AWS_PROFILE", "night")


def by_duckdb_secret(service: Service, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with duckdb.connect() as connection:
        duckdb_extensions.load_extension(connection, "httpfs")
        connection.execute(
            f"create persistent secret ours ({SECRET.format(service, service.address.removeprefix('http://'))})"
        )


@pytest.mark.parametrize("given", [by_profile, by_assumed_role, by_duckdb_secret])
def test_credentials_come_from(
    given: Any, s3_service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "project")
    s3_service.upload({f"by/telemetry/dt={day(1)}/part-0.parquet": project.telemetry(1).read_bytes()})
    given(s3_service, tmp_path / "home", monkeypatch)
    project.configure(
        telemetry={"path": "s3://lake/by/telemetry"},
        warehouse={"catalog": "sqlite:there/catalog.sqlite", "data": f"s3://lake/by/{given.__name__}"},
    )
    with Warehouse.open(project.settings) as warehouse:
        register(warehouse, project.settings, read_lineage_folder(project.settings))
    project.run(1, 1, until="profiles")
    assert project.rows("select sum(row_count)::int from prediction_profile") == [(300,)]


def test_a_long_run_outlives_its_credentials(
    s3_service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [s3_service.new_key(f"night-{number}") for number in (1, 2)]
    current = tmp_path / "current.json"

    def now_valid(key: dict[str, str]) -> None:
        soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        named = {name: key[name] for name in ("AccessKeyId", "SecretAccessKey")}
        current.write_text(json.dumps({"Version": 1, "Expiration": soon, **named}))

    (tmp_path / "home" / ".aws").mkdir()
    (tmp_path / "home" / ".aws" / "config").write_text(f"[default]\ncredential_process = cat {current}\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_service.address)
    now_valid(keys[0])
    project = Project(tmp_path / "project", warehouse={"data": "s3://lake/long"})
    # more than DuckLake keeps in its catalog, so they are written to S3
    rows = pa.table({"applied_at": [datetime.now(UTC)] * 50, "fingerprint": ["long"] * 50})
    with Warehouse.open(project.settings) as warehouse:
        warehouse.append("schema_versions", rows)
        now_valid(keys[1])
        s3_service.client("iam").delete_access_key(UserName="night-1", AccessKeyId=keys[0]["AccessKeyId"])
        warehouse.append("schema_versions", rows)
        found = warehouse.sql("select count(*) as n from schema_versions where fingerprint = 'long'")
    assert found["n"].to_pylist() == [100]


def place(at: str) -> Any:
    return lambda project, _: project.configure(telemetry={"path": at})


def variables(**values: str | None) -> Any:
    def change(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)

    return change


def no_botocore(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)


@pytest.mark.parametrize(
    ("change", "says", "hint"),
    [
        (place("s3://nowhere/telemetry"), "telemetry.path: there is no bucket nowhere at http", "create it"),
        (place("s3://lake/nothing"), "telemetry.path: there is no folder s3://lake/nothing", "correct the path"),
        (
            variables(AWS_SECRET_ACCESS_KEY="wrong"),
            "cannot be read from .* with key AKIA.*: SignatureDoesNotMatch",
            "its secret",
        ),
        (
            variables(AWS_ACCESS_KEY_ID="nobody"),
            "cannot be read from .* with key nobody: InvalidAccessKeyId",
            "check the key",
        ),
        (
            variables(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None),
            "s3://lake/asked/telemetry: no AWS credentials were found",
            "AWS_PROFILE",
        ),
        (variables(AWS_PROFILE="ghost"), "no AWS credentials: .*ghost", "AWS_PROFILE"),
        (variables(AWS_ENDPOINT_URL="http://127.0.0.1:9"), "http://127.0.0.1:9 does not answer", "AWS_ENDPOINT_URL"),
        (no_botocore, "botocore is not installed", r"driftlake\[s3\]"),
    ],
)
def test_what_is_missing_is_a_sentence_before_any_work(
    tmp_path: Path, known: Service, monkeypatch: pytest.MonkeyPatch, change: Any, says: str, hint: str
) -> None:
    project = Project(tmp_path / "project")
    known.upload({f"asked/telemetry/dt={day(1)}/part-0.parquet": project.telemetry(1).read_bytes()})
    project.configure(telemetry={"path": "s3://lake/asked/telemetry"})
    change(project, monkeypatch)
    with pytest.raises(StorageError, match=says) as caught:
        s3.require_places(project.settings.input_locations)
    assert re.search(hint, caught.value.hint or "")
    [found] = [finding for finding in doctor.examine(project.root / "driftlake.yaml") if finding.subject == "telemetry"]
    assert (found.is_well, found.message) == (False, caught.value.message)


def test_a_service_that_never_answers_is_not_waited_for(known: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_SECONDS_TO_ANSWER", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(StorageError, match="does not answer: Read timeout"):
            s3.require_place("telemetry.path", "s3://lake/telemetry")


def test_a_bucket_of_another_region_is_reported(
    tmp_path: Path, known: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("x-amz-bucket-region", "eu-west-1")
            self.end_headers()
            self.wfile.write(b"<ListBucketResult><KeyCount>1</KeyCount></ListBucketResult>")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(StorageError, match="lake is in region eu-west-1, but region us-east-1 is configured"):
            s3.require_place("telemetry.path", "s3://lake/telemetry")


def test_a_warehouse_whose_data_are_refused_does_not_open(
    tmp_path: Path, known: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path / "project", warehouse={"data": "s3://lake/refused"})
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StorageError, match="warehouse.data: s3://lake/refused cannot be read from .* with key"):
        project.rows("select 1")


def test_without_httpfs_the_extra_is_named(tmp_path: Path, known: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(tmp_path / "project")
    known.upload({f"wheel/dt={day(1)}/part-0.parquet": project.telemetry(1).read_bytes()})
    project.configure(telemetry={"path": "s3://lake/wheel"})
    without_wheels(tmp_path, monkeypatch)
    with pytest.raises(WarehouseError, match="extension httpfs cannot be loaded") as caught:
        s3.require_places(project.settings.input_locations)
    assert "pip install 'driftlake[s3]'" in str(caught.value.hint)
    [found] = [
        finding for finding in doctor.examine(project.root / "driftlake.yaml") if finding.subject == "extension httpfs"
    ]
    assert not found.is_well
