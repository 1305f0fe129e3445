"""`driftlake import`: files of other systems as telemetry and labels.

Not here: reading them (`driftlake.connect`).
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftlake.cli.common import REFUSED, Config, configured_if_any, print_line, print_message, require_range
from driftlake.errors import ConfigurationError

if TYPE_CHECKING:
    from driftlake.connect.day_files import Import

app = typer.Typer(no_args_is_help=True, help="Import files of other systems as telemetry and labels.")

Out = Annotated[Path | None, typer.Option("--out", help="Folder of telemetry to write to.")]
Proposal = Annotated[
    bool, typer.Option("--propose", help="Print a proposed mapping for these files, and write nothing.")
]


@app.command(
    epilog="Example: `driftlake import otlp traces.jsonl logs.jsonl --mapping otlp.yaml --out telemetry --labels-out labels`"
)
def otlp(
    files: Annotated[list[Path], typer.Argument(help="Files of OTLP with spans and logs, JSON lines or protobuf.")],
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="YAML file that maps spans, log records and attributes to columns.")
    ] = None,
    out: Out = None,
    labels_out: Annotated[Path | None, typer.Option("--labels-out", help="Folder of labels to write to.")] = None,
    is_proposal: Proposal = False,
    config: Config = None,
) -> None:
    """Import OpenTelemetry files. Each trace, or log record of a prediction, becomes one row, even if its spans are in several files.

    The exit code is 1 if anything was refused.
    """
    settings = configured_if_any(config)
    if is_proposal:
        from driftlake.connect.otlp_proposal import propose

        print_line(propose(files).rstrip("\n"))
        return
    if mapping is None or out is None:
        raise ConfigurationError(
            "--mapping and --out are needed", hint="propose a mapping with `driftlake import otlp FILES --propose`"
        )
    if labels_out is not None and labels_out.resolve() == out.resolve():
        raise ConfigurationError("--out and --labels-out are the same folder", hint="write labels to another folder")
    from driftlake.connect.mapping_files import read_mapping
    from driftlake.connect.otlp_import import import_files
    from driftlake.connect.otlp_mapping import OtlpMapping

    read = read_mapping(OtlpMapping, mapping, command="otlp")
    _report(import_files(files, read, out, labels_out, settings))


@app.command(
    epilog="Example: `driftlake import feast logs/ --predictions predictions/ --mapping feast.yaml --out telemetry --from 2026-01-31`"
)
def feast(
    logs: Annotated[list[Path], typer.Argument(help="Parquet files of a feature service's log, or folders of them.")],
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="YAML file: which features and other columns are which columns.")
    ] = None,
    out: Out = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option("--predictions", help="Parquet file or folder of predictions; may be given several times."),
    ] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day to write; default: all.")
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day to write; default: all.")
    ] = None,
    is_proposal: Proposal = False,
    config: Config = None,
) -> None:
    """Import logs of a Feast feature service, joined with predictions by request id. Exit code 1 if anything was refused."""
    settings = configured_if_any(config)
    if is_proposal:
        from driftlake.connect.feast_proposal import propose

        print_line(propose(logs, has_predictions=bool(predictions)).rstrip("\n"))
        return
    if mapping is None or out is None:
        raise ConfigurationError(
            "--mapping and --out are needed", hint="propose a mapping with `driftlake import feast LOGS --propose`"
        )
    if first and last:
        require_range(first, last)
    from driftlake.connect.feast_import import Given, import_logs
    from driftlake.connect.feast_mapping import FeastMapping
    from driftlake.connect.mapping_files import read_mapping

    read = read_mapping(FeastMapping, mapping, command="feast")
    first_day, last_day = first.date() if first else date.min, last.date() if last else date.max
    given = Given(logs, predictions or (), first_day, last_day)
    _report(import_logs(given, read, out, settings))


def _report(done: Import) -> None:
    """Print what was written and refused, and end with exit code 1 if anything was refused."""
    from driftlake.vocabulary.wording import counted

    for day in done.days:
        print_line(f"{day.path}: {counted(day.row_count, 'row')}{'' if day.is_changed else ', unchanged'}")
    for remark in done.remarks:
        print_message("note", remark)
    for problem in done.problems:
        print_message("refused", problem)
    raise typer.Exit(REFUSED if done.problems else 0)
