"""The macros give the values of the nightly run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from data import day, feature_columns, prediction_columns, write_day, write_project

from driftlake.lake.shell import answer
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.maths.drift_statistics import STATISTICS
from driftlake.nightly.derived import compare_days
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.stages import new_context
from driftlake.training.reference_segments import count_reference_segments
from driftlake.training.registration import register

FEATURES = ("age", "balance", "amount", "ratio", "channel", "is_member", "children")
# the noise of G is computed from counts that the macro does not return
MEASURED = [name for name in STATISTICS if name != "g_statistic"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Three days of two versions, compared with training, a period and each other, over all rows and by channel.

    v2 has the training data of v1, but counts two features differently.
    """
    generator = np.random.default_rng(7)
    root = tmp_path_factory.mktemp("project")
    kinds = {"numeric": [], "categorical": []}
    for kind in kinds:
        kinds[kind] = [name for name in MEASURED if kind in STATISTICS[name].kinds]
    settings = write_project(
        root,
        features=FEATURES,
        training=feature_columns(3000, generator) | {"score": pa.array(generator.random(3000))},
        telemetry={"path": "telemetry", "segments": ["channel"]},
        drift={
            "windows_days": [2],
            "minimum_rows": 1,
            "references": [
                "training",
                {"name": "first", "first_day": day(1), "last_day": day(2)},
                {"name": "champion", "model_version": "v1"},
            ],
            "statistics": kinds,
        },
    )
    for number in (1, 2, 3):
        write_day(root / "telemetry", number, prediction_columns(number, 1000, generator))
        challenger = prediction_columns(number, 800, generator) | {"model_version": pa.array(["v2"] * 800)}
        write_day(root / "telemetry", number, challenger, name="v2")
    _add_version(root, generator)
    with Warehouse.open(settings) as warehouse:
        files = read_lineage_folder(settings)
        register(warehouse, settings, files)
        count_reference_segments(warehouse, settings, files)
        context = new_context(settings, "run")
        profile_days(warehouse, settings, context, [day(1), day(2), day(3)])
        compare_days(warehouse, settings, context, [day(3)])
        yield warehouse


def _add_version(root: Path, generator: np.random.Generator) -> None:
    """v2 learns the number `ratio` and the category `channel` from other training data than v1."""
    training = pq.read_table(root / "training.parquet").to_pydict()
    count = len(training["ratio"])
    others = {"ratio": 2 * generator.random(count), "channel": generator.choice(["web", "kiosk"], count)}
    pq.write_table(pa.table(training | others), root / "training2.parquet")
    lineage = yaml.safe_load((root / "lineage" / "credit-v1.yaml").read_text())
    changed = {"model_version": "v2", "training_dataset_id": "data-2", "training_data": "../training2.parquet"}
    (root / "lineage" / "credit-v2.yaml").write_text(yaml.safe_dump(lineage | changed))


@pytest.mark.parametrize("segment", ["all", "channel=web"])
@pytest.mark.parametrize(
    ("reference", "arguments"),
    [("training", ""), ("first", f", against := 'period', against_from := '{day(1)}', against_to := '{day(2)}'")],
)
def test_drift_between_gives_the_values_of_the_night(
    compared: Warehouse, segment: str, reference: str, arguments: str
) -> None:
    night = compared.sql(
        "select feature, statistic, value from feature_drift where model_version = 'v1' and reference = ? and segment = ?"
        " union all select 'score', statistic, value from prediction_drift where model_version = 'v1' and reference = ? and segment = ?",
        [reference, segment] * 2,
    ).to_pylist()
    found = answer(
        compared,
        f"from drift_between('credit', 'v1', date '{day(2)}', date '{day(3)}', segment_name := '{segment}'{arguments})",
    ).to_pylist()
    values = {(row["feature"], name): row[name] for row in found for name in MEASURED}
    assert {row["feature"] for row in night} == {*FEATURES, "score"}
    for row in night:
        assert values[row["feature"], row["statistic"]] == pytest.approx(row["value"], abs=1e-9), row


@pytest.mark.parametrize("segment", ["all", "channel=web"])
def test_drift_between_versions_gives_the_values_of_the_night(compared: Warehouse, segment: str) -> None:
    night = compared.sql(
        "select feature, statistic, value from feature_drift where reference = 'champion' and segment = ?"
        " and value is not null union all select 'score', statistic, value from prediction_drift"
        " where reference = 'champion' and segment = ?",
        [segment, segment],
    ).to_pylist()
    found = answer(
        compared,
        f"from drift_between('credit', 'v2', date '{day(2)}', date '{day(3)}', segment_name := '{segment}',"
        " against := 'period', against_version := 'v1')",
    ).to_pylist()
    values = {(row["feature"], name): row[name] for row in found for name in MEASURED}
    assert {row["feature"] for row in night} == {row["feature"] for row in found}
    assert {row["feature"] for row in night} == {*FEATURES, "score"} - {"ratio", "channel"}
    for row in night:
        assert values[row["feature"], row["statistic"]] == pytest.approx(row["value"], abs=1e-9), row


def test_features_in_other_bins_have_no_values_between_versions(compared: Warehouse) -> None:
    night = compared.sql(
        "select distinct feature, reason from feature_drift where reference = 'champion' and value is null"
        " order by feature"
    ).to_pylist()
    reason = "version v1 has other bins"
    assert night == [{"feature": "channel", "reason": reason}, {"feature": "ratio", "reason": reason}]
