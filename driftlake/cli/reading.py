"""Commands that read the warehouse: sql, explain, sample, metrics, report.

Not here: reading itself.
"""

from __future__ import annotations

import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from driftlake.cli.common import Config, Format, Output, configured, messages, print_line, require_range, write
from driftlake.errors import ConfigurationError

app = typer.Typer()


@app.command(epilog="Example: `driftlake sql 'select * from latest_drift limit 5' --format csv`")
def sql(
    query: Annotated[str | None, typer.Argument(help="A query; without one, an interactive shell opens.")] = None,
    output: Output = Format.table,
    out: Annotated[Path | None, typer.Option("--out", help="File to write instead of stdout.")] = None,
    unrestricted: Annotated[
        bool,
        typer.Option(
            "--unrestricted", help="Also run statements that write files, read other files or use the network."
        ),
    ] = False,
    config: Config = None,
) -> None:
    """Query the warehouse, attached read-only. Without --unrestricted, a query cannot open other files or use the network."""
    from driftlake.lake import shell

    is_restricted = not unrestricted
    with shell.opened(configured(config), is_restricted=is_restricted) as warehouse:
        if query is None:
            shell.interact(warehouse, is_restricted=is_restricted)
        else:
            write(shell.answer(warehouse, query, is_restricted=is_restricted), output, out)


class Explanation(StrEnum):
    """Output formats of provenance."""

    text = "text"
    json = "json"


@app.command(
    epilog="Example: `driftlake explain feature_drift --date 2026-01-31 --where \"feature = 'age' and statistic = 'psi' and window_days = 7\"`"
)
def explain(
    table: Annotated[str, typer.Argument(help="A result table, or a view.")],
    day: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Day of the row; default: newest.")
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", help="SQL condition that selects one row; default: all rows of the day.")
    ] = None,
    output: Annotated[Explanation, typer.Option("--format", help="text, or json, which lists every file.")] = (
        Explanation.text
    ),
    config: Config = None,
) -> None:
    """Print what a row was computed from: runs, input files, training data, code, configuration. Read-only."""
    from driftlake.lake.warehouse import Warehouse
    from driftlake.provenance.text import as_json, as_text
    from driftlake.provenance.trace import explain

    settings = configured(config)
    with Warehouse.open(settings, read_only=True) as warehouse:
        found = explain(warehouse, settings, table, day=day.date() if day else None, condition=where)
    print_line(as_json(found) if output is Explanation.json else as_text(found, settings.config_hash))


@app.command(epilog="Example: `driftlake sample --model credit --date 2026-01-31 --feature age --out samples`")
def sample(  # noqa: PLR0913  # each is an option of the command
    model: Annotated[str, typer.Option("--model", help="Model.")],
    day: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Last day of the window.")],
    version: Annotated[str | None, typer.Option("--version", help="Version; needed if there are several.")] = None,
    deployment: Annotated[str, typer.Option("--deployment", help="Deployment.")] = "production",
    days: Annotated[
        int | None, typer.Option("--days", min=1, help="Length of the window; default: the one that reports show.")
    ] = None,
    features: Annotated[
        list[str] | None, typer.Option("--feature", help="Feature, can be repeated; default: all.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Largest number of rows of each sample.")] = 10_000,
    out: Annotated[Path, typer.Option("--out", help="Folder for reference.parquet and current.parquet.")] = Path(),
    config: Config = None,
) -> None:  # fmt: skip
    """Write matching samples of the training data and of predictions as Parquet, for other tools. The same call writes the same rows."""
    from driftlake.lake.warehouse import Warehouse
    from driftlake.training.samples import Asked, take_samples

    settings = configured(config)
    window_days = days or settings.drift.headline_window_days
    asked = Asked(model, version, day.date(), window_days, deployment, features or (), rows)
    with Warehouse.open(settings, read_only=True) as warehouse:
        for path in take_samples(warehouse, settings, asked).write(out):
            print_line(path)


@app.command(epilog="Example: `driftlake metrics --from 2026-01-01 --to 2026-01-31 --out history.om`")
def metrics(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write instead of stdout.")] = None,
    config: Config = None,
) -> None:
    """Write the metrics of past days as OpenMetrics for `promtool tsdb create-blocks-from openmetrics`.

    Every series has one sample for each day, at its end.
    """
    from driftlake.delivery.prometheus import open_metrics
    from driftlake.lake.warehouse import Warehouse
    from driftlake.lake.whole_files import replaced_whole

    require_range(first, last)
    settings = configured(config)
    window_days = settings.drift.headline_window_days
    with Warehouse.open(settings, read_only=True) as warehouse:
        parts = open_metrics(warehouse, first.date(), last.date(), window_days=window_days)
        if out is None:
            sys.stdout.writelines(parts)
            return
        with replaced_whole(out) as temporary, temporary.open("w") as target:
            target.writelines(parts)


@app.command(epilog="Example: `driftlake report --date 2026-01-31`")
def report(
    day: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Day to draw.")],
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Draw every day up to this one.")] = None,
    config: Config = None,
) -> None:  # fmt: skip
    """Draw the report of a day, or of every day of a range, and the index. Each model has a page if there are several."""
    from rich.progress import track

    from driftlake.inputs.partitions import days_between
    from driftlake.lake.warehouse import Warehouse
    from driftlake.report.pages import render_day, render_index

    settings = configured(config)
    days = days_between(day.date(), (last or day).date())
    if not days:
        raise ConfigurationError(f"--to ({last:%Y-%m-%d}) is before --date ({day:%Y-%m-%d})")
    with Warehouse.open(settings, read_only=True) as warehouse:
        for each in track(days, "drawing pages", console=messages, transient=True, disable=len(days) == 1):
            print_line(render_day(warehouse, settings, each))
        print_line(render_index(warehouse, settings))
