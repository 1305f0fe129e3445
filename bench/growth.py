"""Claim: the profile stage's time per cell stays flat and its memory below 2 GB as days, features, segments or rows grow.

`python -m bench.growth [days] [features] [segments] [rows]`; prints a table for each, writes results/growth.json.
`--largest` adds a day of 100,000,000 rows, which needs 10 GB of disk; `--scale 0.1` makes all of it smaller.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from bench import long_day, wide_day
from bench.measure import Measurement, apart, best_of, clocked, environment, save
from driftlake.config import load_settings
from driftlake.inputs.partitions import days_between

# "Flat": at most this factor per cell over the smallest size of the claim.
LARGEST_RATIO = 1.15
LARGEST_PEAK_MB = 2_000

DAYS, ROWS_PER_DAY = (1, 2, 4, 8, 16, 32, 64), 62_500
FEATURES, CELLS_OF_FEATURES = (10, 40, 160, 640), 16_000_000
SEGMENTS, ROWS_OF_SEGMENTS = (0, 10, 100, 1_000), 1_000_000
ROWS, LARGEST_ROWS = (10_000, 100_000, 1_000_000, 10_000_000), 100_000_000
# Profiled first, so that no measurement includes one-time loading.
WARM_DAY, WARM_ROWS = wide_day.DAY - timedelta(days=100), 1_000
TRAINING_ROWS = 50_000

PROFILE = """
import sys
from datetime import date
from pathlib import Path
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.stages import new_context
from driftlake.config import load_settings
from driftlake.inputs.partitions import days_between
from driftlake.lake.warehouse import Warehouse

settings = load_settings(Path(sys.argv[1]))
warm, first, last = (date.fromisoformat(day) for day in sys.argv[2:])
context = new_context(settings, "growth", is_forced=True)
with Warehouse.open(settings) as warehouse:
    def profile(days):
        runs = profile_days(warehouse, settings, context, days).runs
        assert all(run.outcome == "complete" for run in runs), runs

    clock(lambda: profile(days_between(first, last)), warm=lambda: profile([warm]))
"""


@dataclass(frozen=True, slots=True)
class Size:
    """Days to be profiled in one call; with segments there are two groupings, the whole and the segment column."""

    name: str
    config: Path
    first_day: date
    last_day: date
    row_count: int
    feature_count: int = wide_day.NUMERIC + wide_day.TEXT
    grouping_count: int = 1

    @property
    def cell_count(self) -> int:
        """Rows x features."""
        return self.row_count * self.feature_count

    @property
    def counted_cell_count(self) -> int:
        """Cells, each as often as it is counted."""
        return self.cell_count * self.grouping_count


@dataclass(frozen=True, slots=True)
class Direction:
    """Sizes in ascending order; the later ones are compared with the one at position `flat_from`."""

    sizes: Sequence[Size]
    flat_from: int
    repeats: int = 3


@dataclass(frozen=True, slots=True)
class Result:
    """A row of a table; the ratios are per counted cell, and a cell in two groupings is counted twice."""

    name: str
    cell_count: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    ns_per_cell: float
    ns_per_counted_cell: float
    ratio: float
    cpu_ratio: float


def main() -> None:
    options = _options()
    results = {}
    for name in options.directions or DIRECTIONS:
        with tempfile.TemporaryDirectory() as folder:
            direction = DIRECTIONS[name](Path(folder), options)
            results[name] = grow(direction)
        _print_table(name, results[name], direction.flat_from)
    print(save("growth", {"environment": environment(), "results": results}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directions", nargs="*", metavar="direction", help=f"of {', '.join(DIRECTIONS)}; all if none")
    parser.add_argument("--scale", type=float, default=1.0, help="factor for the rows")
    parser.add_argument("--largest", action="store_true", help=f"a day of {LARGEST_ROWS:,} rows, too")
    options = parser.parse_args()
    if unknown := set(options.directions) - DIRECTIONS.keys():
        parser.error(f"no direction {', '.join(sorted(unknown))}; there are {', '.join(DIRECTIONS)}")
    return options


def grow(direction: Direction) -> list[Result]:
    """The quickest run of each size; the sizes take turns."""
    rounds = [[profile(size) for size in direction.sizes] for _ in range(direction.repeats)]
    measured = [best_of(direction.repeats, runs) for runs in zip(*rounds, strict=True)]
    base = direction.sizes[direction.flat_from], measured[direction.flat_from]
    return [_result(size, run, *base) for size, run in zip(direction.sizes, measured, strict=True)]


def _result(size: Size, run: Measurement, base_size: Size, base: Measurement) -> Result:
    factor = base_size.counted_cell_count / size.counted_cell_count
    return Result(
        size.name,
        size.cell_count,
        run.seconds,
        run.cpu_seconds,
        run.peak_mb,
        run.seconds / size.cell_count * 1e9,
        run.seconds / size.counted_cell_count * 1e9,
        run.seconds / base.seconds * factor,
        run.cpu_seconds / base.cpu_seconds * factor,
    )


def profile(size: Size) -> Measurement:
    """One run of the profile stage over days without rows in the warehouse."""
    root = size.config.parent
    shutil.rmtree(root / "warehouse", ignore_errors=True)
    shutil.copytree(root / "registered", root / "warehouse")
    days = (day.isoformat() for day in (WARM_DAY, size.first_day, size.last_day))
    return clocked(size.name, PROFILE, str(size.config), *days)


def _print_table(name: str, results: Sequence[Result], flat_from: int) -> None:
    print(f"\n{name:<16}  M cells  seconds   CPU s  ns/cell  counted  ratio   CPU  peak MB")
    for row in results:
        print(
            f"{row.name:<16}{row.cell_count / 1e6:9.1f}{row.seconds:9.2f}{row.cpu_seconds:8.2f}{row.ns_per_cell:9.1f}"
            f"{row.ns_per_counted_cell:9.1f}{row.ratio:7.2f}{row.cpu_ratio:6.2f}{row.peak_mb:9.0f}"
        )
    print("\n".join(_verdicts(results, flat_from)))


def _verdicts(results: Sequence[Result], flat_from: int) -> list[str]:
    """Whether each part of the claim holds. A cell may become cheaper, because fixed costs are shared."""
    ratios = [row.ratio for row in results[flat_from:]]
    largest_mb = max(row.peak_mb for row in results)
    flat = "holds" if max(ratios) <= LARGEST_RATIO else "DOES NOT HOLD"
    small = "holds" if largest_mb <= LARGEST_PEAK_MB else "DOES NOT HOLD"
    return [
        f"time per cell does not grow from {results[flat_from].name} on: {flat}, {min(ratios):.2f} to {max(ratios):.2f} of it",
        f"memory stays below {LARGEST_PEAK_MB:,} MB: {small}, at most {largest_mb:,.0f} MB",
    ]


def _days(root: Path, options: argparse.Namespace) -> Direction:
    rows = int(ROWS_PER_DAY * options.scale)
    last = {count: wide_day.DAY + timedelta(days=count - 1) for count in DAYS}
    apart(prepare, root, dict.fromkeys(days_between(wide_day.DAY, max(last.values())), rows))
    config = root / "driftlake.yaml"
    return Direction(
        [Size(f"{n} days" if n > 1 else "1 day", config, wide_day.DAY, last[n], rows * n) for n in DAYS], flat_from=0
    )


def _features(root: Path, options: argparse.Namespace) -> Direction:
    sizes = []
    for count in FEATURES:
        rows = int(CELLS_OF_FEATURES * options.scale) // count
        folder = root / str(count)
        apart(prepare, folder, {wide_day.DAY: rows}, count)
        config = folder / "driftlake.yaml"
        sizes.append(Size(f"{count} features", config, wide_day.DAY, wide_day.DAY, rows, count))
    # with ten features most of the cost per cell is that of the identifiers of its row
    return Direction(sizes, flat_from=1)


def _segments(root: Path, options: argparse.Namespace) -> Direction:
    rows = int(ROWS_OF_SEGMENTS * options.scale)
    columns = [count for count in SEGMENTS if count]
    apart(prepare, root, {wide_day.DAY: rows}, wide_day.NUMERIC + wide_day.TEXT, columns)
    sizes = [Size("no segments", root / "driftlake.yaml", wide_day.DAY, wide_day.DAY, rows)]
    for count in columns:
        telemetry = {"segments": [wide_day.segment_name(count)], "segment_limit": count}
        config = wide_day.write_config(root, f"segments-{count}", telemetry=telemetry)
        sizes.append(Size(f"{count} segments", config, wide_day.DAY, wide_day.DAY, rows, grouping_count=2))
    return Direction(sizes, flat_from=0)


def _rows(root: Path, options: argparse.Namespace) -> Direction:
    counts = [int(rows * options.scale) for rows in (*ROWS, *([LARGEST_ROWS] if options.largest else []))]
    days = {wide_day.DAY + timedelta(days=i): rows for i, rows in enumerate(counts)}
    apart(prepare_long, root, days)
    config, features = root / "driftlake.yaml", long_day.NUMERIC + long_day.TEXT
    sizes = [Size(f"{rows:,} rows", config, day, day, rows, features) for day, rows in days.items()]
    # the fixed cost of a run, a fifth of a second, is nearly all of the cost up to 100,000 rows and a third at a
    # million
    return Direction(sizes, flat_from=3 if options.largest else 2, repeats=2 if options.largest else 3)


DIRECTIONS: Mapping[str, Callable[[Path, argparse.Namespace], Direction]] = {
    "days": _days,
    "features": _features,
    "segments": _segments,
    "rows": _rows,
}


def prepare(
    root: Path,
    rows_of_days: Mapping[date, int],
    feature_count: int = wide_day.NUMERIC + wide_day.TEXT,
    segments: Sequence[int] = (),
) -> None:
    """A project with three of four features numeric; its registered versions are copied into empty warehouses."""
    numeric = feature_count * 3 // 4
    text = feature_count - numeric
    settings = wide_day.write_project(root, training_rows=TRAINING_ROWS, numeric=numeric, text=text)
    for day, rows in {WARM_DAY: WARM_ROWS, **rows_of_days}.items():
        wide_day.write_day(settings, rows, day=day, numeric=numeric, text=text, segments=segments)
    _register(root)


def prepare_long(root: Path, rows_of_days: Mapping[date, int]) -> None:
    """A project with few features and long days."""
    settings = wide_day.write_project(root, training_rows=TRAINING_ROWS, numeric=long_day.NUMERIC, text=long_day.TEXT)
    for day, rows in {WARM_DAY: WARM_ROWS, **rows_of_days}.items():
        long_day.write_day(settings, rows, day)
    _register(root)


def _register(root: Path) -> None:
    wide_day.register_versions(load_settings(root / "driftlake.yaml"))
    (root / "warehouse").rename(root / "registered")


if __name__ == "__main__":
    main()
