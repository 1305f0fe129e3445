"""Shared by commands: options, messages on stderr, rows on stdout.

Not here: commands.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from driftlake.config import CONFIG_NAME, Settings, compute_of, load_settings, load_settings_if_any
from driftlake.errors import ConfigurationError
from driftlake.lake.process_memory import bound_memory, bound_to
from driftlake.vocabulary.wording import printable

if TYPE_CHECKING:
    import pyarrow as pa


# 1 is a result and not a failure: the command found something wrong.
REFUSED, MISTAKE, UNEXPECTED = 1, 2, 3
EXIT_CODES = (
    "Exit codes: 0 done, and all is in order; 1 done, but something is not in order: input was refused, a day failed, a"
    " model is harmed; 2 not done: a mistake in the command or the configuration, or a fault of the machine, the storage or the"
    " warehouse; 3 an unexpected error of driftlake; 130 interrupted."
)


@dataclass(slots=True)
class Options:
    """Options of `driftlake` itself, before the subcommand."""

    # whether a failure is shown with its traceback
    is_debug: bool = False


options = Options()


messages = Console(stderr=True, highlight=False)


Config = Annotated[
    Path | None, typer.Option("--config", help=f"Configuration file; default: $DRIFTLAKE_CONFIG or ./{CONFIG_NAME}.")
]


class Format(StrEnum):
    """Output formats of rows."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


Output = Annotated[Format, typer.Option("--format", help="table, csv, json (an object per line) or parquet.")]


def configured(config: Path | None, *, require_inputs: bool = False) -> Settings:
    """The settings of a command, whose process is refused more memory than they allow."""
    settings = load_settings(config, require_inputs=require_inputs)
    bound_memory(settings)
    return settings


def configured_if_any(config: Path | None) -> Settings | None:
    """The settings of a command that needs none; without them its process is refused more memory than the defaults allow."""
    settings = load_settings_if_any(config)
    bound_to(compute_of(settings))
    return settings


def print_message(kind: str, text: str, *, style: str = "bold") -> None:
    """Print a message whose text is data: markup in it is not interpreted."""
    messages.print(f"[{style}]{kind}[/]: {escape(printable(text))}", soft_wrap=True)


def print_line(text: object) -> None:
    """Print a line of data on stdout."""
    typer.echo(printable(str(text)))


def require_range(first: datetime, last: datetime) -> None:
    """Refuse a range that ends before it begins."""
    if last < first:
        raise ConfigurationError(f"--to ({last:%Y-%m-%d}) is before --from ({first:%Y-%m-%d})")


def write(rows: pa.Table, output: Format, out: Path | None) -> None:
    """Write rows to a file, or to stdout."""
    from driftlake.lake import shell

    if output is Format.parquet and out is None and sys.stdout.isatty():
        raise ConfigurationError("Parquet cannot be printed on a terminal", hint="give a file with --out")
    if output is Format.table and out is None:
        shell.print_table(rows)
        return
    if out is None and sys.stdout.isatty():
        # escape codes in names from data would act in the terminal
        shell.write_rows(rows, output.value, drawn := BytesIO())
        sys.stdout.write(printable(drawn.getvalue().decode()))
        return
    with out.open("wb") if out else nullcontext(sys.stdout.buffer) as target:
        shell.write_rows(rows, output.value, target)
