"""`driftlake import`: files of other systems as telemetry and labels.

Not here: reading them (`driftlake.connect`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from driftlake.cli.common import REFUSED, say, tell
from driftlake.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Import files of other systems as telemetry and labels.")


@app.callback()
def _group() -> None:
    """One command is a command of a group, too."""


@app.command(
    epilog="Example: `driftlake import otlp traces.jsonl logs.jsonl --mapping otlp.yaml --out telemetry --labels-out labels`"
)
def otlp(
    files: Annotated[list[Path], typer.Argument(help="Files of OTLP JSON lines, spans and logs.")],
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="YAML file that maps spans, attributes and events to columns.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of telemetry to write to.")] = None,
    labels_out: Annotated[Path | None, typer.Option("--labels-out", help="Folder of labels to write to.")] = None,
    is_proposal: Annotated[
        bool, typer.Option("--propose", help="Print a proposed mapping for these files, and write nothing.")
    ] = False,
) -> None:
    """Import OpenTelemetry files. Each trace becomes one row, even if its spans are in several files.

    The exit code is 1 if anything was refused.
    """
    if is_proposal:
        from driftlake.connect.otlp_proposal import propose

        tell(propose(files).rstrip("\n"))
        return
    if mapping is None or out is None:
        raise ConfigurationError(
            "--mapping and --out are needed", hint="propose a mapping with `driftlake import otlp FILES --propose`"
        )
    if labels_out is not None and labels_out.resolve() == out.resolve():
        raise ConfigurationError("--out and --labels-out are the same folder", hint="write labels to another folder")
    from driftlake.connect.otlp_import import import_files
    from driftlake.connect.otlp_mapping import read_mapping
    from driftlake.vocabulary.wording import counted

    done = import_files(files, read_mapping(mapping), out, labels_out)
    for day in done.days:
        tell(f"{day.path}: {counted(day.row_count, 'row')}{'' if day.is_changed else ', unchanged'}")
    for remark in done.remarks:
        say("note", remark)
    for problem in done.problems:
        say("refused", problem)
    raise typer.Exit(REFUSED if done.problems else 0)
