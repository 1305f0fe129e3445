"""The contributions of segments to a shift are those of PSI, and add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from data import GROUP, KEY, Row, bucketed, day, model_version
from hypothesis import assume, given
from hypothesis import strategies as st

from driftlake.config import DriftSettings
from driftlake.drift.attribution import segment_shift
from driftlake.drift.comparison import buckets_of
from driftlake.maths.binning import learn_category_bins
from driftlake.maths.divergence import log_ratio, psi

# Bins: missing, other, unseen, red, blue.
RED, BLUE = 3, 4
COLOUR = learn_category_bins("colour", ["red", "blue"], np.array([500, 500]))
Counted = dict[str, tuple[int, int]]


CHAMPION = {"name": "champion", "model_version": "v0"}


def explained(now: Counted, before: Counted, reference: str = "training", *, is_trained: bool = True) -> list[Row]:
    """Rows of segment_shift of day 2; `now` and `before` are red and blue rows per country."""
    asked = CHAMPION if reference == "champion" else reference
    settings = DriftSettings.model_validate({"windows_days": [1], "references": [asked]})
    buckets = buckets_of([day(2)], settings)
    rows = segment_rows(2, now) + (segment_rows(1, before) if reference == "preceding" else [])
    if reference == "champion":
        rows += [row | {"model_version": "v0"} for row in segment_rows(2, before)]
    version = model_version([COLOUR], {"colour": dense(np.sum(list(before.values()), axis=0))})
    if is_trained:
        trained = {f"country={name}": {"colour": np.array(dense(counts))} for name, counts in before.items()}
        version = replace(version, segment_reference_counts=trained)
    key = {name: value for name, value in GROUP.items() if name != "segment"}
    wanted = pa.Table.from_pylist([key | {"dt": day(2), "feature": "colour", "window_days": 1, "reference": reference}])
    versions = {KEY: version, ("credit", "v0"): replace(version, model_version="v0")}
    profiles = bucketed(rows, buckets, versions)
    shift = segment_shift(wanted, profiles, ["country"], settings)
    return sorted(shift.to_pylist(), key=lambda row: row["segment"])


def dense(counts: Sequence[int]) -> list[int]:
    return [0, 0, 0, *(int(count) for count in counts)]


def segment_rows(number: int, counted: Counted) -> list[Row]:
    """Counts of a day, over all rows and by country."""
    whole = tuple(np.sum(list(counted.values()), axis=0).tolist())
    segments = {"all": whole} | {f"country={name}": counts for name, counts in counted.items()}
    return [
        GROUP | {"segment": segment, "dt": day(number), "feature": "colour", "bin_id": bin_id, "row_count": count}
        for segment, counts in segments.items()
        for bin_id, count in zip((RED, BLUE), counts, strict=True)
        if count
    ]


def test_a_segment_that_did_not_move_explains_nothing() -> None:
    at, de = explained({"at": (500, 0), "de": (250, 250)}, {"at": (250, 250), "de": (250, 250)})
    assert (at["shift_share"], de["shift_share"]) == (1, 0)


def test_a_contribution_is_the_moved_share_weighted_as_in_psi() -> None:
    at, de = explained({"at": (500, 0), "de": (250, 250)}, {"at": (250, 250), "de": (250, 250)})
    red, blue = log_ratio(np.array([750, 250]), np.array([500, 500]))
    assert at["contribution"] == pytest.approx(0.25 * red - 0.25 * blue)
    assert de["contribution"] == 0


def test_contributions_add_up_to_the_psi_except_for_smoothing() -> None:
    rows = explained({"at": (50_000, 0), "de": (25_000, 35_000)}, {"at": (30_000, 20_000), "de": (25_000, 25_000)})
    whole = psi(np.array([75_000, 35_000]), np.array([55_000, 45_000])).value
    assert sum(row["contribution"] for row in rows) == pytest.approx(whole, rel=2e-3)


def test_a_vanished_segment_contributes_to_the_shift() -> None:
    at, de = explained({"at": (100, 100)}, {"at": (100, 100), "de": (200, 0)})
    assert (de["segment"], de["current_count"], de["reference_count"]) == ("country=de", 0, 200)
    assert de["shift_share"] + at["shift_share"] == pytest.approx(1)


def test_against_the_window_before_segments_are_compared_with_themselves() -> None:
    at, de = explained({"at": (500, 0), "de": (250, 250)}, {"at": (250, 250), "de": (250, 250)}, "preceding")
    assert (at["reference_count"], at["shift_share"], de["shift_share"]) == (500, 1, 0)


def test_against_another_version_its_segments_are_compared_even_those_that_only_it_has() -> None:
    at, de = explained({"at": (100, 100)}, {"at": (100, 100), "de": (200, 0)}, "champion")
    assert (de["segment"], de["current_count"], de["reference_count"]) == ("country=de", 0, 200)
    assert de["shift_share"] + at["shift_share"] == pytest.approx(1)


def test_training_data_without_the_column_explains_nothing() -> None:
    assert explained({"at": (500, 0)}, {"at": (250, 250)}, is_trained=False) == []


COUNTED = st.dictionaries(
    st.sampled_from(["at", "ch", "de", "fr"]), st.tuples(st.integers(0, 500), st.integers(1, 500)), min_size=1
)


@given(COUNTED, COUNTED)
def test_the_shares_of_the_segments_add_up_to_one(now: Counted, before: Counted) -> None:
    whole, reference = (np.sum(list(counted.values()), axis=0) for counted in (now, before))
    assume(abs(whole[0] / whole.sum() - reference[0] / reference.sum()) > 0.01)
    rows = explained(now, before)
    assert sum(row["shift_share"] for row in rows) == pytest.approx(1)
