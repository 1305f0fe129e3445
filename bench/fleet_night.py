"""The cost of a fleet: a backfill and the night after it, for models x features x days of generated predictions.

Each size is compared with DuckDB's bare read of the same files, and its night with that of one model. The stages are
run in one process without Dagster, so that each can be measured; `driftlake run` is measured for the night as a
whole. Prints a table, writes results/fleet_night.json. The data is written once and kept in the temporary folder.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from bench.measure import PYTHON, ROOT, Measurement, apart, clocked, environment, run, save
from driftlake.config import Settings, load_settings
from driftlake.inputs.partitions import days_between
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.derived import compare_days, measure_quality, measure_slos, raise_alerts
from driftlake.nightly.labels import count_labels
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.stages import new_context
from driftlake.report.pages import render_day, render_index
from driftlake.training.registration import register_folder
from expectations.contracts import contracts

FIRST_DAY = date(2026, 1, 1)
TRAINING_ROWS = 20_000
# Two of ten features are text.
TEXTS_OF_TEN = 2
CATEGORIES = np.array([f"category-{number}" for number in range(30)])
# Increase this number when the generated data changes, so that cached data is not reused.
DATA = 1
MODELS, FEATURES, DAYS = (1, 10), (50,), (10,)
FULL_MODELS, FULL_FEATURES, FULL_DAYS = (1, 10, 100, 300), (10, 50, 200), (1, 40, 365)
EXAMPLE = """\
example: the sizes of a small company, then the night after 400 days of thirty models
  python -m bench.fleet_night --models 1 20 --features 50 --days 39
  python -m bench.fleet_night --models 30 --features 10 --days 400
"""

READ = """
import sys, duckdb
pattern, numbers, texts = sys.argv[1], *(names.split(",") for names in sys.argv[2:])
columns = [f"sum({name})" for name in numbers] + [f"max(length({name}))" for name in texts]
with duckdb.connect() as connection:
    clock(lambda: connection.execute(f"select {', '.join(columns)} from read_parquet('{pattern}')").fetchall())
"""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a fleet."""

    models: int
    features: int
    days: int
    rows: int

    @property
    def unit_count(self) -> int:
        """Models x features x days."""
        return self.models * self.features * self.days

    @property
    def last_day(self) -> date:
        """The last day of the backfill; two nights follow it."""
        return FIRST_DAY + timedelta(days=self.days - 1)

    @property
    def folder(self) -> Path:
        """Folder of the data of all sizes with the same number of models and features."""
        name = f"{self.models}x{self.features}x{self.rows}"
        return Path(tempfile.gettempdir()) / f"driftlake-fleet-{DATA}" / name

    def numbers(self) -> list[str]:
        """Names of the numeric features."""
        return [f"n{place:03d}" for place in range(self.features - len(self.texts()))]

    def texts(self) -> list[str]:
        """Names of the text features."""
        return [f"t{place:03d}" for place in range(self.features * TEXTS_OF_TEN // 10)]


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a part of the work."""

    cpu_seconds: float
    seconds: float
    statements: int


@dataclass(frozen=True, slots=True)
class Result:
    """Cost of a size: the stages of the backfill and of the next night, that night as a command, and the bare read."""

    size: Size
    read: Measurement
    backfill: Mapping[str, Cost]
    night: Mapping[str, Cost]
    peak_mb: float
    page_bytes: int
    command: Measurement

    @property
    def cpu_seconds_of_days(self) -> float:
        """Processor time of the backfill without registration and the page, which do not depend on the days."""
        return sum(cost.cpu_seconds for name, cost in self.backfill.items() if name not in {"lineage", "report"})

    def ms_per_unit(self, smaller: Result | None = None) -> float:
        """Processor time of the backfill per model, feature and day; beyond those of a smaller size, if there is one."""
        seconds, units = self.cpu_seconds_of_days, self.size.unit_count
        if smaller and smaller.size != self.size:
            seconds, units = seconds - smaller.cpu_seconds_of_days, units - smaller.size.unit_count
        return seconds * 1000 / units


def main() -> None:
    results: list[Result] = []
    for size in _sizes():
        results.append(measure(size))
        _print(results[-1], results)
    print(save("fleet_night", {"environment": environment(), "results": [asdict(result) for result in results]}))


def _sizes() -> list[Size]:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, usual in (("models", MODELS), ("features", FEATURES), ("days", DAYS)):
        parser.add_argument(f"--{name}", type=int, nargs="+", default=usual, help=f"default: {usual}")
    parser.add_argument("--rows", type=int, default=2_000, help="of each model and day (default: %(default)s)")
    parser.add_argument(
        "--full",
        action="store_true",
        help=f"models {FULL_MODELS} x features {FULL_FEATURES} x days {FULL_DAYS}, which takes hours and terabytes",
    )
    options = parser.parse_args()
    if options.full:
        options.models, options.features, options.days = FULL_MODELS, FULL_FEATURES, FULL_DAYS
    return [
        Size(models, features, days, options.rows)
        for features in options.features
        for days in options.days
        for models in options.models
    ]


def measure(size: Size) -> Result:
    """Write the data of a size unless it exists, and measure it with a separate warehouse."""
    apart(prepare, size)
    days = [size.folder / "telemetry" / f"dt={day}" / "*.parquet" for day in days_between(FIRST_DAY, size.last_day)]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        config = _write_config(size, root)
        read = clocked(
            "read", READ, str(_linked(days, root / "read")), ",".join(size.numbers()), ",".join(size.texts())
        )
        code = "import sys; from bench.fleet_night import run_stages; run_stages(*sys.argv[1:])"
        whole, printed = run("stages", [PYTHON, "-c", code, str(config), str(size.days)], env={"PYTHONPATH": str(ROOT)})
        found = json.loads(printed.splitlines()[-1])
        backfill, night = ({stage: Cost(*cost) for stage, cost in part.items()} for part in found["parts"])
        command = _night(config, size.last_day + timedelta(days=2))
        return Result(size, read, backfill, night, whole.peak_mb, found["page_bytes"], command)


def _linked(patterns: Sequence[Path], folder: Path) -> str:
    """A pattern for the files of only some days."""
    folder.mkdir()
    for pattern in patterns:
        for file in pattern.parent.glob(pattern.name):
            (folder / f"{pattern.parent.name}-{file.name}").symlink_to(file)
    return f"{folder}/*.parquet"


def _night(config: Path, day: date) -> Measurement:
    command = [
        PYTHON,
        "-c",
        "from driftlake.cli import main; main()",
        "run",
        "--date",
        day.isoformat(),
        "--config",
        str(config),
    ]
    return run("night", command, env={"DAGSTER_HOME": str(config.parent / "dagster"), "PYTHONPATH": str(ROOT)})[0]


def run_stages(config: str, day_count: str) -> None:
    """Run every stage over the days and over the day after them, and print the cost of each."""
    settings = load_settings(Path(config))
    days = days_between(FIRST_DAY, FIRST_DAY + timedelta(days=int(day_count)))
    with Warehouse.open(settings) as warehouse, _statements_counted() as statements:
        parts = [_costs(warehouse, settings, part, statements) for part in (days[:-1], days[-1:])]
    page_bytes = sum(path.stat().st_size for path in Path(settings.resolve(settings.reports.path)).rglob("*.html"))
    print(json.dumps({"parts": parts, "page_bytes": page_bytes}))


def _costs(
    warehouse: Warehouse, settings: Settings, days: Sequence[date], statements: list[None]
) -> dict[str, tuple[float, float, int]]:
    context = new_context(settings, "bench")
    run_of_days = (warehouse, settings, context, days)
    works: dict[str, Callable[[], object]] = {
        "lineage": lambda: register_folder(warehouse, settings, contracts(settings)),
        "profiles": lambda: profile_days(*run_of_days, contracts(settings)),
        "labels": lambda: count_labels(*run_of_days, contracts(settings)),
        "drift": lambda: compare_days(*run_of_days),
        "quality": lambda: measure_quality(*run_of_days),
        "alerts": lambda: (measure_slos(*run_of_days), raise_alerts(*run_of_days)),
        "report": lambda: (render_day(warehouse, settings, days[-1]), render_index(warehouse, settings)),
    }
    costs = {}
    for name, work in works.items():
        started, cpu_started, counted = time.perf_counter(), time.process_time(), len(statements)
        work()
        costs[name] = time.process_time() - cpu_started, time.perf_counter() - started, len(statements) - counted
    return costs


@contextmanager
def _statements_counted() -> Iterator[list[None]]:
    """A list that grows by one for each statement that any connection executes."""
    executed: list[None] = []
    execute = duckdb.DuckDBPyConnection.execute

    def counting(connection: duckdb.DuckDBPyConnection, *arguments: Any, **named: Any) -> duckdb.DuckDBPyConnection:
        executed.append(None)
        return execute(connection, *arguments, **named)

    duckdb.DuckDBPyConnection.execute = counting  # type: ignore[method-assign, assignment]
    try:
        yield executed
    finally:
        duckdb.DuckDBPyConnection.execute = execute  # type: ignore[method-assign]


def prepare(size: Size) -> None:
    """Write the training data, the missing days, and the two days after them."""
    size.folder.mkdir(parents=True, exist_ok=True)
    training = size.folder / "training.parquet"
    if not training.exists():
        generator = np.random.default_rng(0)
        score = _scores(TRAINING_ROWS, generator)
        label = _labels(score, generator)
        pq.write_table(
            pa.table({**_features(size, TRAINING_ROWS, generator), "score": score, "label": label}), training
        )
    for day in days_between(FIRST_DAY, size.last_day + timedelta(days=2)):
        if not (size.folder / "labels" / f"dt={day + timedelta(days=1)}" / "part-0.parquet").exists():
            _write_day(size, day)


def _write_day(size: Size, day: date) -> None:
    generator = np.random.default_rng(day.toordinal())
    count = size.models * size.rows
    models = pa.array([f"model-{number:03d}" for number in range(size.models)])
    start = np.datetime64(datetime(day.year, day.month, day.day), "us")  # noqa: DTZ001  # UTC throughout
    ids = pa.array(np.char.add(f"{day:%Y%m%d}-", np.arange(count).astype(str)))
    score = _scores(count, generator)
    telemetry = {
        "correlation_id": ids,
        "event_time": start + generator.integers(0, 86_400, count).astype("timedelta64[s]"),
        "model_id": models.take(pa.array(np.repeat(np.arange(size.models), size.rows))),
        "model_version": pa.repeat("v1", count),
        "score": score,
        "latency_ms": generator.lognormal(3, 0.5, count),
        **_features(size, count, generator),
    }
    labels = {"correlation_id": ids, "label": _labels(score, generator)}
    for source, columns, arrived_on in (("telemetry", telemetry, day), ("labels", labels, day + timedelta(days=1))):
        folder = size.folder / source / f"dt={arrived_on}"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / "part-0.parquet")


def _features(size: Size, count: int, generator: np.random.Generator) -> dict[str, Any]:
    numbers = generator.standard_normal((len(size.numbers()), count), dtype=np.float32)
    # every third number is log-normal, every tenth has missing values
    numbers[2::3] = np.exp(numbers[2::3])
    numbers[9::10, ::20] = np.nan
    texts = generator.geometric(0.2, (len(size.texts()), count)).clip(1, len(CATEGORIES)) - 1
    columns = dict(zip(size.numbers(), numbers, strict=True))
    return columns | {
        name: pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), CATEGORIES).cast(pa.string())
        for name, codes in zip(size.texts(), texts, strict=True)
    }


def _scores(count: int, generator: np.random.Generator) -> np.ndarray[Any, Any]:
    return 1 / (1 + np.exp(-generator.normal(-1, 1.5, count)))


def _labels(score: np.ndarray[Any, Any], generator: np.random.Generator) -> np.ndarray[Any, Any]:
    return (generator.random(len(score)) < score).astype(int)


def _write_config(size: Size, root: Path) -> Path:
    (root / "lineage").mkdir()
    for number in range(size.models):
        record = {
            "model_id": f"model-{number:03d}",
            "model_version": "v1",
            "training_run_id": f"run-{number}",
            "training_dataset_id": "generated",
            "training_data": str(size.folder / "training.parquet"),
            "target": "label",
            "score": "score",
            "label_delay": {"p50_days": 1, "p95_days": 1, "max_days": 1},
            "features": [*size.numbers(), *size.texts()],
        }
        (root / "lineage" / f"{number}.yaml").write_text(yaml.safe_dump(record))
    content = {
        "telemetry": {"path": str(size.folder / "telemetry")},
        "labels": {"path": str(size.folder / "labels")},
        "lineage": {"path": "lineage", "training_roots": [str(size.folder)]},
        "start": FIRST_DAY,
    }
    path = root / "driftlake.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def _print(result: Result, results: Sequence[Result]) -> None:
    size = result.size
    one = next((other for other in results if replace(other.size, models=size.models) == size), result)
    print(
        f"\n{size.models} models x {size.features} features x {size.days} days x {size.rows:,} rows: "
        f"{result.ms_per_unit():.2f} ms of processor time per model, feature and day, "
        f"{result.ms_per_unit(one):.2f} beyond those of {one.size.models}; "
        f"peak {result.peak_mb:,.0f} MB; pages {result.page_bytes / 1e3:,.0f} kB"
    )
    for name, part in (("backfill", result.backfill), ("night after it", result.night)):
        print(f"{name:<16}  CPU s   wall s  x read  statements")
        total = Cost(*(sum(values) for values in zip(*map(astuple, part.values()), strict=True)))
        for stage, cost in {**part, "all": total}.items():
            ratio = cost.cpu_seconds / result.read.cpu_seconds
            print(f"  {stage:<12}{cost.cpu_seconds:9.2f}{cost.seconds:9.2f}{ratio:8.1f}{cost.statements:12}")
    print(
        f"bare read {result.read.cpu_seconds:.2f} s; `driftlake run` of the next night "
        f"{result.command.cpu_seconds:.1f} s of processor time, {result.command.seconds:.1f} s, "
        f"{result.command.peak_mb:,.0f} MB: {result.command.cpu_seconds / one.command.cpu_seconds:.2f} times that of "
        f"{one.size.models}",
        flush=True,
    )


if __name__ == "__main__":
    main()
