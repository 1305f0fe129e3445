"""Multivariate drift: comparing samples of windows with the training sample, as rows of multivariate_drift.

Not here: the error and its noise (`driftlake.maths.pca`), samples (`driftlake.profiles.row_samples`), and reading or storing
(`driftlake.nightly.derived`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.config import DriftSettings, MultivariateSettings
from driftlake.drift.windows import EVERY_DAY, OpenDays, days_needed
from driftlake.lake.grouping import grouped
from driftlake.lake.schema import arrow_schema
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.arrays import Floats, Indices
from driftlake.maths.pca import Components, Encoding, MeanTest, resampled_means
from driftlake.profiles.row_samples import Hashes, smallest

STATISTIC = "pca_reconstruction_error"
_GROUP = ("model_id", "model_version", "deployment")
# Errors are computed for this many rows at a time, whatever the length of a backfill.
_ROWS_AT_ONCE = 20_000


def references_of(
    reference_samples: pa.Table, versions: Mapping[tuple[str, str], ModelVersion], settings: DriftSettings
) -> References:
    """What is learned from the training samples, which have the columns of reference_sample in order of version and hash."""
    return {
        (model_id, model_version): _Reference.of(versions[model_id, model_version], _bins(found), settings)
        for (model_id, model_version), found in grouped(reference_samples, _GROUP[:2]).items()
    }


def compare_samples(
    samples: pa.Table,
    references: References,
    settings: DriftSettings,
    asked: MultivariateSettings,
    days: Sequence[date],
    open_days: OpenDays = EVERY_DAY,
) -> pa.Table:
    """Rows of multivariate_drift of the windows that end with `days`, from rows of sql/drift/window_samples.sql."""
    rows: list[dict[str, Any]] = []
    for group, found in grouped(samples, _GROUP).items():
        key = dict(zip(_GROUP, group, strict=True)) | {"statistic": STATISTIC}
        history = _History.of(found, references.get((group[0], group[1]), _Reference("no sample of the training data")))
        rows += (key | row for row in history.rows(settings, asked, days, open_days))
    return pa.Table.from_pylist(rows, schema=arrow_schema("multivariate_drift"))


@dataclass(frozen=True)
class _Reference:
    """What is learned from the training sample of a version; nothing if there is an `obstacle`."""

    obstacle: str | None
    encoding: Encoding | None = None
    components: Components | None = None
    # from the half of the sample that the components were not fitted on, so that errors are like those of new rows
    held_out_errors: Floats | None = None
    seed: int = 0

    @classmethod
    def of(cls, version: ModelVersion, bins: Indices, settings: DriftSettings) -> _Reference:
        counts = [version.reference_counts[name] for name in version.features]
        encoding = Encoding.of(list(version.features.values()), counts)
        if encoding.varying_count < 2:
            return cls("fewer than two features vary in training")
        if len(bins) // 2 < settings.minimum_rows:
            return cls(f"fewer than {settings.minimum_rows} rows in half the training sample")
        rows = encoding.encode(bins)
        # rows are in the order of their hashes, so every second row is a random half
        components = Components.fit(rows[::2])
        key = f"{version.model_id}\n{version.model_version}".encode()
        seed = int.from_bytes(hashlib.sha256(key).digest()[:8])
        return cls(None, encoding, components, components.errors(rows[1::2]), seed)

    def errors(self, bins: Indices) -> Floats:
        """Error of each row of bins, shape (rows,); nan where nothing was learned."""
        if self.encoding is None or self.components is None:
            return np.full(len(bins), np.nan)
        pieces = (bins[start : start + _ROWS_AT_ONCE] for start in range(0, len(bins), _ROWS_AT_ONCE))
        return np.concatenate([self.components.errors(self.encoding.encode(piece)) for piece in pieces])

    def test(self, sample_rows: int) -> MeanTest | None:
        """The test of a window with so many sampled rows: the same whenever it is made."""
        if self.held_out_errors is None:
            return None
        return MeanTest.of(self.held_out_errors, self._means(sample_rows), self._training_means)

    @cached_property
    def _training_means(self) -> Floats:
        assert self.held_out_errors is not None
        return self._means(len(self.held_out_errors), side=1)

    def _means(self, size: int, side: int = 0) -> Floats:
        assert self.held_out_errors is not None
        return resampled_means(self.held_out_errors, size, np.random.default_rng([self.seed, side, size]))


References: TypeAlias = Mapping[tuple[str, ...], _Reference]


@dataclass(frozen=True)
class _History:
    """Sampled rows of a deployed version, day by day: day, hash and error of each, shape (rows,)."""

    days: NDArray[np.int64]
    hashes: Hashes
    errors: Floats
    reference: _Reference

    @classmethod
    def of(cls, samples: pa.Table, reference: _Reference) -> _History:
        days = samples["dt"].cast(pa.int32()).to_numpy().astype(np.int64)
        return cls(days, samples["row_hash"].to_numpy(), reference.errors(_bins(samples)), reference)

    def rows(
        self, settings: DriftSettings, asked: MultivariateSettings, days: Sequence[date], open_days: OpenDays
    ) -> Iterator[dict[str, Any]]:
        """A row for each window that ends with one of `days` that has predictions."""
        # most windows have a full sample, so nearly all share one test
        test_of = cache(self.reference.test)
        for day in days:
            last = (day - date(1970, 1, 1)).days
            ends = [np.searchsorted(self.days, last, side=side) for side in ("left", "right")]
            if ends[0] == ends[1]:
                continue
            for length in settings.windows_days:
                rows = slice(int(np.searchsorted(self.days, last - length + 1)), int(ends[1]))
                sampled = smallest(self.hashes[rows], asked.sample_rows)
                day_count = len(np.unique(self.days[rows]))
                key = {"dt": day, "window_days": length, "current_day_count": day_count}
                errors = self.errors[rows][sampled]
                reason = self.reference.obstacle or _reason(
                    len(sampled), day_count, open_days.of_window(day, length), settings
                )
                test = None if reason else test_of(len(sampled))
                yield key | self._judged(errors, test, settings.false_alarm_rate) | {"reason": reason}

    def _judged(self, errors: Floats, test: MeanTest | None, false_alarm_rate: float) -> dict[str, Any]:
        held_out, components = self.reference.held_out_errors, self.reference.components
        sizes = {"current_count": len(errors), "reference_count": 0 if held_out is None else len(held_out)}
        if test is None or components is None:
            return sizes | {"outcome": "insufficient_data"}
        value, p_value = float(errors.mean()), test.p_value(float(errors.mean()))
        return sizes | {
            "value": value,
            "reference_value": test.mean,
            "error_shift": value / test.mean - 1 if test.mean else None,
            "noise_floor": test.noise_floor / test.mean if test.mean else None,
            "p_value": p_value,
            "component_count": len(components.axes),
            "outcome": "drift" if p_value <= false_alarm_rate else "stable",
        }


def _reason(sample_count: int, day_count: int, expected_days: int, settings: DriftSettings) -> str | None:
    needed_days = int(days_needed(settings.minimum_days_share, expected_days))
    if day_count < needed_days:
        return f"predictions on fewer than {needed_days} of {expected_days} days"
    if sample_count < settings.minimum_rows:
        return f"fewer than {settings.minimum_rows} rows in the window"
    return None


def _bins(table: pa.Table) -> Indices:
    """Bins of rows, shape (rows, features)."""
    bins: Indices = table["bins"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
    return bins
