"""Estimates the cost of a night of a fleet by arithmetic, from the figures of docs/performance.md.

`python -m bench.fleet [--rows 1e12] [--configurations 1000] ...`; first it repeats measured sizes by the same formulas.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from math import ceil

# Measured processor time, each with its place in docs/performance.md.
NS_PER_CELL = 44  # Growth, 10,000,000 rows x 10 features; 36 over 64 days of 40 features
NS_PER_ROW_AND_PASS = (
    77  # Growth, 100,000,000 rows: (67 - 44) ns x 10 features for three more passes over the identifiers
)
KEYS_AT_ONCE = 32_000_000
SECONDS_PER_RUN = 0.25  # Growth, 10,000 rows
NS_PER_PREDICTION_LOOKED_AT = 144  # Labels, 15.8 s for 110,040,000 predictions
SECONDS_PER_FEATURE_OF_DRIFT = 0.46 / 200  # Windows, 28 days
BYTES_PER_ROW = 150  # The profile kernel, 0.6 GB for 4,000,000 rows of 40 features
PROFILE_BYTES, DRIFT_BYTES = 1.5, 17  # the flights example, a row of feature_profile and of feature_drift
BINS, DRIFT_ROWS_PER_FEATURE = 100, 15
SECONDS_PER_COMMIT = 0.16
# Assumed.
SECONDS_PER_REQUEST, TABLES_PER_COMMIT, COMMITS, FILE_BYTES = 0.05, 6, 6, 512e6

# rows, features, measured processor seconds; the third gives the cost of a pass
MEASURED = ((1_000_000, 10, 0.64), (10_000_000, 10, 4.4), (100_000_000, 10, 67.5), (4_000_000, 40, 5.8))


@dataclass(frozen=True, slots=True)
class Fleet:
    """The size of the fleet.

    Rows are those of a day over all configurations, each with one model; segments are values of one column.
    """

    rows: float = 1e12
    configurations: float = 1_000
    features: float = 40
    segments: float = 0
    days_of_labels: float = 28
    catalogs: float = 10
    hours: float = 4
    dollars_per_core_hour: float = 0.04


def profile_seconds(rows: float, features: float) -> float:
    """Cells of one configuration's day, and further passes over the identifiers."""
    passes = ceil(rows / KEYS_AT_ONCE)
    return SECONDS_PER_RUN + (rows * features * NS_PER_CELL + rows * (passes - 1) * NS_PER_ROW_AND_PASS) / 1e9


def night(fleet: Fleet) -> dict[str, str]:
    """The night of a fleet, step by step."""
    each = fleet.rows / fleet.configurations
    groups = fleet.configurations * fleet.features * (1 + fleet.segments)
    # with segments every cell is counted twice
    counted = fleet.features * (2 if fleet.segments else 1)
    cells = fleet.rows * counted * NS_PER_CELL / 3.6e12
    profiles = fleet.configurations * profile_seconds(each, counted) / 3600
    labels = fleet.rows * fleet.days_of_labels * NS_PER_PREDICTION_LOOKED_AT / 3.6e12
    drift = groups * SECONDS_PER_FEATURE_OF_DRIFT / 3600
    total = profiles + labels + drift
    lock = (
        fleet.configurations / fleet.catalogs * COMMITS * (SECONDS_PER_COMMIT + TABLES_PER_COMMIT * SECONDS_PER_REQUEST)
    )
    stored = groups * (BINS * PROFILE_BYTES + DRIFT_ROWS_PER_FEATURE * DRIFT_BYTES)
    files = fleet.rows * BYTES_PER_ROW / FILE_BYTES
    return {
        "telemetry of a day, TB": f"{fleet.rows * BYTES_PER_ROW / 1e12:,.0f}",
        "its files": f"{files:,.0f}",
        "hours to read their footers, one after the other in each configuration": (
            f"{files / fleet.configurations * 2 * SECONDS_PER_REQUEST / 3600:,.3f}"
        ),
        "core-hours of cells": f"{cells:,.0f}",
        "core-hours of further passes over identifiers": f"{profiles - cells:,.0f}",
        "core-hours of the label join": f"{labels:,.0f}",
        "core-hours of drift": f"{drift:,.1f}",
        "cores for the night": f"{total / fleet.hours:,.0f}",
        "dollars a night": f"{total * fleet.dollars_per_core_hour:,.0f}",
        "minutes of each catalog's lock": f"{lock / 60:,.0f}",
        "rows of feature_profile and feature_drift, million": f"{groups * (BINS + DRIFT_ROWS_PER_FEATURE) / 1e6:,.1f}",
        "MB they take": f"{stored / 1e6:,.0f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Fleet):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    fleet = Fleet(**vars(parser.parse_args()))
    for rows, features, measured in MEASURED:
        print(f"{rows:>12,} rows x {features}: {profile_seconds(rows, features):6.1f} s, measured {measured} s")
    for name, value in night(fleet).items():
        print(f"{value:>12}  {name}")


if __name__ == "__main__":
    main()
