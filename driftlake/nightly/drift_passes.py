"""One pass of the drift stage: windows that end with some days, read in pieces of groups that fit in memory together.

Not here: which days are a pass (`driftlake.nightly.extent`), the comparisons (`driftlake.drift.comparison` and its
neighbours), and storing (`driftlake.nightly.derived`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from driftlake.drift import attribution, comparison, importance, multivariate
from driftlake.drift.bucket_history import Group, Profiles, features_table, groups_table, ordered_groups
from driftlake.drift.windows import Buckets, OpenDays
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse
from driftlake.maths.segments import ALL
from driftlake.nightly.extent import DriftExtent, pieces


@dataclass(frozen=True)
class Comparisons:
    """The comparisons of all passes, with the versions and the models learned from their samples."""

    warehouse: Warehouse
    extent: DriftExtent

    @cached_property
    def open_days(self) -> OpenDays:
        """The days on which predictions are expected, as the profiles found them."""
        return OpenDays.of(self.warehouse.query("drift/closed_days")["dt"].to_pylist())

    def of_profiles(self, days: Sequence[date]) -> dict[str, pa.Table]:
        """Rows of feature_drift, prediction_drift and segment_shift."""
        buckets = comparison.buckets_of(days, self.extent.settings.drift)
        read = pieces(self.extent.read_rows(days), self.extent.rows_at_once)
        found = [(arrow_schema("feature_drift").empty_table(), arrow_schema("prediction_drift").empty_table())]
        profiles = None
        for groups in read:
            # free the memory of the previous piece first
            profiles = None
            counterparts = [other for group in groups for other in self.extent.counterparts(group)]
            profiles = self._profiles(buckets, [*groups, *counterparts])
            found.append(comparison.compare_windows(profiles, groups, self.extent.settings.drift, days))
        of_features, of_scores = (pa.concat_tables(tables) for tables in zip(*found, strict=True))
        shift = self._segment_shift(days, buckets, of_features, of_scores, profiles if len(read) == 1 else None)
        return {"feature_drift": of_features, "prediction_drift": of_scores, "segment_shift": shift}

    def _profiles(self, buckets: Buckets, groups: Sequence[Group], features: Sequence[str] | None = None) -> Profiles:
        known, ordered = self.extent.versions, ordered_groups(groups)
        versions = [known[key] for key in dict.fromkeys((group[0], group[1]) for group in ordered) if key in known]
        with self.warehouse.registered(
            buckets=buckets.days(),
            groups=groups_table(ordered),
            counted_features=features_table(versions, features),
        ):
            counts, day_counts = (self.warehouse.query(f"drift/{name}") for name in ("bucket_counts", "bucket_days"))
        return Profiles.of(counts, day_counts, ordered, buckets, known, self.open_days)

    def _segment_shift(
        self,
        days: Sequence[date],
        buckets: Buckets,
        feature_drift: pa.Table,
        prediction_drift: pa.Table,
        profiles: Profiles | None,
    ) -> pa.Table:
        """Rows of segment_shift; `profiles` are those of every group, None if they do not fit in memory together."""
        columns, settings = self.extent.settings.telemetry.segments, self.extent.settings.drift
        nothing = arrow_schema("segment_shift").empty_table()
        if not columns:
            return nothing
        with self.warehouse.registered(new_drift=feature_drift, new_prediction_drift=prediction_drift):
            shifted = self.warehouse.query("drift/shifted_features")
        if profiles:
            return attribution.segment_shift(shifted, profiles, columns, settings)
        tables, sizes = [nothing], self.extent.read_rows(days)
        for whole in (group for group in self.extent.predictions.groups if group[-1] == ALL):
            of_whole = shifted.filter(_is_of(whole[:-1]))
            groups = [
                segment for group in (whole, *self.extent.counterparts(whole)) for segment in self._segments(group)
            ]
            features = of_whole["feature"].unique().to_pylist()
            # assumes the same number for all features, which is accurate enough
            size = sum(sizes.get(group, 0) for group in groups) // len(
                self.extent.versions[whole[0], whole[1]].features
            )
            for some in pieces(dict.fromkeys(features, size), self.extent.rows_at_once):
                wanted = of_whole.filter(pc.is_in(of_whole["feature"], pa.array(some)))
                tables.append(
                    attribution.segment_shift(wanted, self._profiles(buckets, groups, some), columns, settings)
                )
        return pa.concat_tables(tables)

    def _segments(self, whole: Group) -> list[Group]:
        return [group for group in self.extent.predictions.groups if group[:-1] == whole[:-1]]

    def of_importance(self, days: Sequence[date]) -> pa.Table:
        """Rows of importance_drift."""
        settings = self.extent.settings.drift
        tables = [arrow_schema("importance_drift").empty_table()]
        for groups in pieces(self.extent.explained_rows(days), self.extent.rows_at_once):
            with self.warehouse.registered(groups=groups_table(ordered_groups(groups))):
                windows = self.warehouse.query(
                    "drift/importance_windows",
                    first_day=days[0],
                    last_day=days[-1],
                    windows_days=list(settings.windows_days),
                )
            tables.append(importance.compare_importance(windows, self.extent.versions, settings, self.open_days))
        return pa.concat_tables(tables)

    def of_samples(self, days: Sequence[date]) -> pa.Table:
        """Rows of multivariate_drift."""
        settings = self.extent.settings.drift
        tables = [arrow_schema("multivariate_drift").empty_table()]
        first_day = days[0] - timedelta(days=max(settings.windows_days) - 1)
        for groups in pieces(self.extent.sampled_rows(days), self.extent.rows_at_once):
            assert settings.multivariate is not None
            with self.warehouse.registered(groups=groups_table(ordered_groups(groups))):
                samples = self.warehouse.query("drift/window_samples", first_day=first_day, last_day=days[-1])
            tables.append(
                multivariate.compare_samples(
                    samples, self._learned, settings, settings.multivariate, days, self.open_days
                )
            )
        return pa.concat_tables(tables)

    @cached_property
    def _learned(self) -> multivariate.References:
        samples = self.warehouse.query("drift/reference_samples")
        return multivariate.references_of(samples, self.extent.versions, self.extent.settings.drift)


def _is_of(deployment: Sequence[str]) -> pc.Expression:
    model_id, model_version, name = deployment
    return (
        (pc.field("model_id") == model_id)
        & (pc.field("model_version") == model_version)
        & (pc.field("deployment") == name)
    )
