"""Commands that run days: run, backfill, replay.

Not here: what a run does (`jobs.launch`).
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from driftlake.cli.common import MISTAKE, REFUSED, Config, configured, messages, options, print_line, print_message
from driftlake.config import Settings
from driftlake.errors import ConfigurationError, WarehouseError
from driftlake.lake import project_files

if TYPE_CHECKING:
    from jobs.launch import LaunchFailure

app = typer.Typer()


Force = Annotated[bool, typer.Option("--force", help="Compute days without changes, too.")]


@app.command(epilog="Example: `driftlake run --date 2026-01-31`")
def run(
    day: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Partition day.")],
    force: Force = False,
    config: Config = None,
) -> None:
    """Run the nightly job for one day, in the Dagster instance that the UI shows. A day without changes is skipped."""
    _run_days(configured(config, require_inputs=True), [(day.date(), day.date())], is_forced=force)


@app.command(epilog="Example: `driftlake backfill --from 2026-01-01 --to 2026-01-31`")
def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")],
    force: Force = False,
    config: Config = None,
) -> None:
    """Run the nightly job for a range of days, in few Dagster runs. Days without changes are skipped."""
    _run_days(configured(config, require_inputs=True), [(first.date(), last.date())], is_forced=force)


@app.command(epilog="Example: `driftlake replay`")
def replay(config: Config = None) -> None:
    """Run days with something in quarantine again, and the later days that depend on them.

    Repaired input is counted. Input that is still broken stays in the table quarantine, and the exit code is 1.
    """
    from driftlake.contract import quarantine
    from driftlake.inputs.late_files import days_depending_on
    from driftlake.lake.warehouse import Warehouse

    settings = configured(config, require_inputs=True)
    with Warehouse.open(settings, read_only=True) as warehouse:
        before = quarantine.every(warehouse)
        ranges = days_depending_on(warehouse, {quarantined.dt for quarantined in before})
    if not before:
        messages.print("nothing is in quarantine")
        return
    try:
        _run_days(settings, ranges, is_forced=False)
    finally:
        with Warehouse.open(settings, read_only=True) as warehouse:
            left = quarantine.every(warehouse)
        for quarantined in left:
            print_message("in quarantine", quarantined.sentence)
        messages.print(f"in quarantine: {len(before)} before, {len(left)} now")


def run_again(settings: Settings, days: Collection[date]) -> None:
    """Run days again although nothing has changed, and the later days that depend on them."""
    from driftlake.inputs.late_files import days_depending_on
    from driftlake.lake.warehouse import Warehouse

    with Warehouse.open(settings, read_only=True) as warehouse:
        ranges = days_depending_on(warehouse, set(days))
    if not ranges:
        raise WarehouseError("no run is recorded for these days", hint="run `driftlake backfill --force` over them")
    _run_days(settings, ranges, is_forced=True)


def _run_days(settings: Settings, ranges: Sequence[tuple[date, date]], *, is_forced: bool) -> None:
    first, last = ranges[0][0], ranges[-1][-1]
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from driftlake.engines import engine_of
    from driftlake.inputs.partitions import days_between
    from driftlake.lake.warehouse import Warehouse
    from driftlake.report.summary import summarize

    newest = settings.end or datetime.now(ZoneInfo(settings.schedule.timezone)).date() - timedelta(days=1)
    if not settings.start <= first <= last <= newest:
        raise ConfigurationError(
            f"{first} to {last} is not a range of partition days, which go from {settings.start} to {newest}",
            hint="a day can be run only after it has ended; `start` and `end` are set in driftlake.yaml",
        )
    engine_of(settings)  # report missing inputs before Dagster starts
    runs = [days_between(*each) for each in ranges]
    failures: list[LaunchFailure] = []
    traces: list[str] = []
    # number of partitions that were done and unchanged
    partitions: Counter[str | None] = Counter()
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TextColumn("partitions"))
    # Dagster captures the output of steps at the file descriptor; the progress bar needs its own.
    with (
        os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8") as screen,
        Progress(*columns, TimeElapsedColumn(), console=Console(file=screen), transient=True) as progress,
    ):
        task = progress.add_task("starting Dagster", total=None)
        project_files.make_importable()
        from jobs.launch import launch, partitioned_asset_count

        progress.update(task, total=sum(map(len, runs)) * partitioned_asset_count(settings))
        size = settings.compute.partitions_per_run
        for some in (days[i : i + size] for days in runs for i in range(0, len(days), size)):

            def on_materialized(asset: str, partition: str | None, work: str | None) -> None:
                partitions[work] += 1
                progress.update(task, description=asset, advance=1 if partition else 0)

            if failure := launch(settings, some, on_materialized, traces.append, is_forced=is_forced):
                failures.append(failure)
                traces.append(failure.trace)
    _print_failures(failures, list(filter(None, traces)))
    if all(failure.is_refusal for failure in failures):
        with Warehouse.open(settings, read_only=True) as warehouse:
            for name, value in summarize(warehouse, settings, first, last):
                print_line(f"{name:<24} {value}")
        if unchanged := partitions["unchanged"]:
            _print_unchanged(unchanged, partitions["done"])
    if failures:
        raise typer.Exit(REFUSED if all(failure.is_refusal for failure in failures) else MISTAKE)


def _print_failures(failures: Sequence[LaunchFailure], traces: Sequence[str]) -> None:
    if options.is_debug:
        for trace in traces:
            print_message("traceback", trace)
    for failure in failures:
        print_message("failed", failure.message, style="bold red")
    if traces and not options.is_debug:
        print_message("hint", "`driftlake --debug run` shows the traceback")


def _print_unchanged(unchanged: int, done: int) -> None:
    if done:
        messages.print(f"unchanged: {unchanged:,} of {unchanged + done:,} partitions were skipped")
    else:
        messages.print(
            "unchanged: nothing that these days depend on has changed, so they were not computed; --force computes "
            "them anyway",
            soft_wrap=True,
        )
