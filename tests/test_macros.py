"""The SQL that anyone can run says what the night says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from driftlake import nightly
from driftlake.lineage import read_lineage_folder
from driftlake.reference_segments import count_reference_segments
from driftlake.registration import register
from driftlake.shell import answer
from driftlake.statistics import STATISTICS
from driftlake.warehouse import Warehouse
from tests.data import day, feature_columns, prediction_columns, write_day, write_project

FEATURES = ("age", "balance", "amount", "ratio", "channel", "is_member", "children")
# the noise of G comes from counts that the macro does not give
MEASURED = [name for name in STATISTICS if name != "g_statistic"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Three days against training and a period, of everything and by channel, with every statistic."""
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
            "references": ["training", {"name": "first", "first_day": day(1), "last_day": day(2)}],
            "statistics": kinds,
        },
    )
    for number in (1, 2, 3):
        write_day(root / "telemetry", number, prediction_columns(number, 1000, generator))
    with Warehouse.open(settings) as warehouse:
        files = read_lineage_folder(settings)
        register(warehouse, settings, files)
        count_reference_segments(warehouse, settings, files)
        context = nightly.new_context(settings, "run")
        nightly.profile_days(warehouse, settings, context, [day(1), day(2), day(3)])
        nightly.compare_days(warehouse, settings, context, [day(3)])
        yield warehouse


@pytest.mark.parametrize("segment", ["all", "channel=web"])
@pytest.mark.parametrize(
    ("reference", "arguments"),
    [("training", ""), ("first", f", against := 'period', against_from := '{day(1)}', against_to := '{day(2)}'")],
)
def test_drift_between_gives_the_values_of_the_night(
    compared: Warehouse, segment: str, reference: str, arguments: str
) -> None:
    night = compared.sql(
        "select feature, statistic, value from feature_drift where reference = ? and segment = ?"
        " union all select 'score', statistic, value from prediction_drift where reference = ? and segment = ?",
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
