"""The `driftlake` command. Data goes to stdout, everything else to stderr. A user's mistake is reported in a sentence, with exit code 2.

May import: notebook, setup, provenance, report, delivery, training, connect, nightly, alerts, drift, quality,
engines, profiles, contract, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: work. Every command calls one function of the core or of `jobs` and prints its result.
"""

from __future__ import annotations

import gc
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from driftlake import __version__
from driftlake.cli import alerts, connect, inputs, lineage, reading, running, upkeep, verdict
from driftlake.cli.common import (
    EXIT_CODES,
    MISTAKE,
    REFUSED,
    UNEXPECTED,
    Config,
    messages,
    options,
    print_line,
    print_message,
)
from driftlake.errors import DriftlakeError
from driftlake.lake.process_memory import memory_bounded_within

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Nightly drift, label and quality analysis of production models.",
    epilog="Example: `driftlake init && driftlake doctor && driftlake run --date 2026-01-31`\n\n" + EXIT_CODES,
)
for _group in (running, reading, verdict, inputs, upkeep):
    app.add_typer(_group.app)
app.add_typer(lineage.app, name="lineage")
app.add_typer(alerts.app, name="alerts")
app.add_typer(connect.app, name="import")


def main() -> None:
    """Run the command and end with its exit code (EXIT_CODES)."""
    # Imports create a million objects that stay; garbage collection of them would cost a cold run a quarter of a second.
    gc.set_threshold(100_000)
    try:
        with memory_bounded_within():
            app()
    except Exception as error:  # noqa: BLE001  # whatever it is, it has a sentence and a code of its own
        sys.exit(_report_error(error))


def _report_error(error: Exception) -> int:
    """Tell why the command ended, and return its exit code."""
    if options.is_debug:
        traceback.print_exception(error)
    known = error if isinstance(error, DriftlakeError) else _fault_in(error)
    if known is not None:
        print_message("error", known.message, style="bold red")
        if known.hint:
            print_message("hint", known.hint)
        return MISTAKE
    if isinstance(error, OSError):
        print_message("error", str(error), style="bold red")
        return MISTAKE
    first_line = str(error).strip().partition("\n")[0]
    print_message("unexpected", f"{type(error).__name__}: {first_line}", style="bold red")
    print_message(
        "hint",
        "this is an error of driftlake; committed data is safe. `driftlake --debug ...` shows the traceback to report",
    )
    return UNEXPECTED


def _fault_in(error: Exception) -> DriftlakeError | None:
    from driftlake.lake.faults import explained

    return explained(error)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print_line(f"driftlake {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
    is_debug: Annotated[bool, typer.Option("--debug", help="Show the traceback if the command fails.")] = False,
) -> None:
    options.is_debug = is_debug


@app.command(epilog="Example: `driftlake init monitoring`")
def init(folder: Annotated[Path, typer.Argument(help="Folder for the files.")] = Path()) -> None:
    """Write a commented driftlake.yaml, its JSON Schema for editors, and a workspace.yaml for `dagster dev`."""
    from driftlake.setup.scaffold import write_configuration

    for path in write_configuration(folder):
        print_line(path)


@app.command(epilog="Example: `driftlake doctor --config monitoring/driftlake.yaml`")
def doctor(config: Config = None) -> None:
    """Check configuration, inputs, catalog and extensions, and say how to fix problems."""
    from driftlake.setup.doctor import examine

    is_well = True
    for finding in examine(config):
        messages.print("[green]ok[/]   " if finding.is_well else "[bold red]bad[/]  ", end="")
        print_message(finding.subject, finding.message)
        if finding.hint:
            messages.print("     ", end="")
            print_message("hint", finding.hint)
        is_well &= finding.is_well
    raise typer.Exit(0 if is_well else REFUSED)
