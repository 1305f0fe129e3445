"""Commands for files before their delivery: check, pseudonymize.

Not here: the rules (`expectations`, `driftlake.privacy.pseudonyms`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from driftlake.cli.common import REFUSED, Config, configured, messages, print_line
from driftlake.lake import project_files

app = typer.Typer()


class FaultFormat(StrEnum):
    """Output formats for faults of files."""

    text = "text"
    json = "json"
    junit = "junit"


class Source(StrEnum):
    """Contents of files."""

    telemetry = "telemetry"
    labels = "labels"


@app.command(epilog="Example: `driftlake check sample.parquet --format junit --out contract.xml`")
def check(
    files: Annotated[list[str], typer.Argument(help="Sample files of a producer, local or s3://.")],
    source: Annotated[Source, typer.Option("--source", help="Contents of the files.")] = Source.telemetry,
    day: Annotated[
        datetime | None,
        typer.Option(
            "--date", formats=["%Y-%m-%d"], help="Day of files that are not in the folder of a day; default: today."
        ),
    ] = None,
    output: Annotated[
        FaultFormat, typer.Option("--format", help="text, json (an object per line) or junit.")
    ] = FaultFormat.text,
    out: Annotated[Path | None, typer.Option("--out", help="File to write instead of stdout.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings, too.")] = False,
    config: Config = None,
) -> None:
    """Check sample files against the contract and the rules on personal data. Exit code 1 if a rule is broken."""
    from driftlake.contract.sample_gate import as_junit, check_files
    from driftlake.vocabulary.wording import counted

    project_files.make_importable()
    from expectations.contracts import sample_contracts

    settings = configured(config)
    contracts = sample_contracts(settings)
    checked = list(check_files(settings, contracts, files, source.value, day.date() if day else None))
    faults = [fault for _, of_file in checked for fault in of_file]
    if output is FaultFormat.junit:
        text = as_junit(checked)
    elif output is FaultFormat.json:
        text = "\n".join(json.dumps(asdict(fault)) for fault in faults)
    else:
        text = "\n".join(f"{fault.path}: {fault.severity}: {fault.rule}: {fault.message}" for fault in faults)
    if out:
        out.write_text(text + "\n")
    elif text:
        print_line(text)
    errors = sum(fault.severity == "error" for fault in faults)
    totals = (counted(len(checked), "file"), counted(errors, "error"), counted(len(faults) - errors, "warning"))
    messages.print("{}: {}, {}".format(*totals))
    if errors or (strict and faults):
        raise typer.Exit(REFUSED)


@app.command(epilog="Example: `driftlake pseudonymize raw/telemetry data/telemetry`")
def pseudonymize(
    source: Annotated[Path, typer.Argument(help="Parquet file, or folder with a folder per day.")],
    target: Annotated[Path, typer.Argument(help="File or folder to write; not the source.")],
    day: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="Day of a file that is not in the folder of a day."),
    ] = None,
    config: Config = None,
) -> None:
    """Replace raw identifiers of users by keyed hashes (HMAC-SHA-256), as configured under `pseudonyms`."""
    from driftlake.privacy.pseudonyms import pseudonymize_files

    for written in pseudonymize_files(configured(config), source, target, day.date() if day else None):
        print_line(f"{written.path}: {written.row_count:,} rows, key {' and '.join(written.key_ids)}")
