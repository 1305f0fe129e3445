"""The `driftlake` command. Data goes to stdout, everything else to stderr. A user's mistake is reported in a sentence, with exit code 2.

May import: notebook, setup, provenance, report, delivery, training, nightly, alerts, drift, quality, engines, profiles,
contract, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: work. Every command calls one function of the core or of `jobs` and prints its result.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from driftlake import __version__
from driftlake.cli import alerts, inputs, lineage, reading, running, upkeep, verdict
from driftlake.cli.common import MISTAKE, REFUSED, Config, messages, options, say, tell
from driftlake.errors import DriftlakeError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Nightly drift, label and quality analysis of production models.",
    epilog="Example: `driftlake init && driftlake doctor && driftlake run --date 2026-01-31`",
)
for _group in (running, reading, verdict, inputs, upkeep):
    app.add_typer(_group.app)
app.add_typer(lineage.app, name="lineage")
app.add_typer(alerts.app, name="alerts")


def main() -> None:
    """Run the command and end with its exit code: 0 if it succeeded, 1 if input was refused or a day failed, 2 if it could not do its work."""
    # Imports create a million objects that stay; garbage collection of them would cost a cold run a quarter of a second.
    gc.set_threshold(100_000)
    try:
        app()
    except (DriftlakeError, OSError) as error:
        if options.is_debug:
            raise
        _end(error)


def _end(error: DriftlakeError | OSError) -> NoReturn:
    if isinstance(error, DriftlakeError):
        say("error", error.message, style="bold red")
        if error.hint:
            say("hint", error.hint)
    else:
        say("error", str(error), style="bold red")
    sys.exit(MISTAKE)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        tell(f"driftlake {__version__}")
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
        tell(path)


@app.command(epilog="Example: `driftlake doctor --config monitoring/driftlake.yaml`")
def doctor(config: Config = None) -> None:
    """Check configuration, inputs, catalog and extensions, and say how to fix problems."""
    from driftlake.setup.doctor import examine

    is_well = True
    for finding in examine(config):
        messages.print("[green]ok[/]   " if finding.is_well else "[bold red]bad[/]  ", end="")
        say(finding.subject, finding.message)
        if finding.hint:
            messages.print("     ", end="")
            say("hint", finding.hint)
        is_well &= finding.is_well
    raise typer.Exit(0 if is_well else REFUSED)
