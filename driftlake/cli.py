"""The `driftlake` command. Data goes to stdout, everything else to stderr; a user's mistake is a sentence and exit 2.

Not here: work. Every command calls one function of the core or of jobs/ and prints what came back.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.markup import escape

from driftlake import __version__
from driftlake.config import CONFIG_NAME, Settings, load_settings
from driftlake.errors import ConfigurationError, DriftlakeError

if TYPE_CHECKING:
    import pyarrow as pa

    from jobs.launch import LaunchFailure

REFUSED, MISTAKE = 1, 2

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Nightly drift, label and quality analysis of production models.",
    epilog="Example: `driftlake init && driftlake doctor && driftlake run --date 2026-01-31`",
)
lineage_app = typer.Typer(no_args_is_help=True, help="Register model versions with their training data.")
app.add_typer(lineage_app, name="lineage")
alerts_app = typer.Typer()
app.add_typer(alerts_app, name="alerts")

messages = Console(stderr=True, highlight=False)

Config = Annotated[
    Path | None, typer.Option("--config", help=f"Configuration file; default: $DRIFTLAKE_CONFIG or ./{CONFIG_NAME}.")
]

Force = Annotated[bool, typer.Option("--force", help="Work on days on which nothing changed, too.")]


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


class FaultFormat(StrEnum):
    """How what is wrong with files is written."""

    text = "text"
    json = "json"
    junit = "junit"


class Source(StrEnum):
    """What files hold."""

    telemetry = "telemetry"
    labels = "labels"


Output = Annotated[Format, typer.Option("--format", help="table, csv, json (an object per line) or parquet.")]


def main() -> None:
    """Run the command and end with its exit code: 0 done, 1 done but input was refused, 2 not done."""
    # Imports make a million objects that stay; walking them again and again costs a cold night a quarter of a second.
    gc.set_threshold(100_000)
    try:
        app()
    except DriftlakeError as error:
        _say("error", error.message, style="bold red")
        if error.hint:
            _say("hint", error.hint)
        sys.exit(MISTAKE)
    except OSError as error:
        _say("error", str(error), style="bold red")
        sys.exit(MISTAKE)


def _say(kind: str, text: str, *, style: str = "bold") -> None:
    """Print a message whose text is data: what looks like markup in it is not."""
    messages.print(f"[{style}]{kind}[/]: {escape(text)}", soft_wrap=True)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"driftlake {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: `driftlake init monitoring`")
def init(folder: Annotated[Path, typer.Argument(help="Where to put the files.")] = Path()) -> None:
    """Write a commented driftlake.yaml and its JSON Schema for editors."""
    from driftlake.scaffold import write_configuration

    for path in write_configuration(folder):
        typer.echo(path)


@app.command(epilog="Example: `driftlake doctor --config monitoring/driftlake.yaml`")
def doctor(config: Config = None) -> None:
    """Check configuration, inputs, catalog and extensions, and say what to do about what is wrong."""
    from driftlake.doctor import examine

    is_well = True
    for finding in examine(config):
        messages.print("[green]ok[/]   " if finding.is_well else "[bold red]bad[/]  ", end="")
        _say(finding.subject, finding.message)
        if finding.hint:
            messages.print("     ", end="")
            _say("hint", finding.hint)
        is_well &= finding.is_well
    raise typer.Exit(0 if is_well else REFUSED)


@lineage_app.command(
    "suite", epilog="Example: `driftlake lineage suite credit v1 > expectations/telemetry_credit.json`"
)
def lineage_suite(
    model_id: Annotated[str, typer.Argument(help="Model.")],
    model_version: Annotated[str, typer.Argument(help="Registered version.")],
    config: Config = None,
) -> None:
    """Print a suite of Great Expectations with the ranges and categories a version was trained on, for you to edit."""
    from driftlake.suggested_suite import suggest_suite
    from driftlake.warehouse import Warehouse

    with Warehouse.open(load_settings(config), read_only=True) as warehouse:
        typer.echo(suggest_suite(warehouse, model_id, model_version))


@app.command(epilog="Example: `driftlake check sample.parquet --format junit --out contract.xml`")
def check(
    files: Annotated[list[str], typer.Argument(help="Sample files of a producer, local or s3://.")],
    source: Annotated[Source, typer.Option("--source", help="What the files hold.")] = Source.telemetry,
    day: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="Day of files in no dt=YYYY-MM-DD folder; default: today."),
    ] = None,
    output: Annotated[
        FaultFormat, typer.Option("--format", help="text, json (an object per line) or junit.")
    ] = FaultFormat.text,
    out: Annotated[Path | None, typer.Option("--out", help="File to write instead of stdout.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    config: Config = None,
) -> None:
    """Hold sample files against the contract and the rules on personal data; ends with 1 if any breaks them."""
    from driftlake.checking import as_junit, check_files
    from driftlake.wording import counted
    from expectations.contracts import sample_contracts

    settings = load_settings(config)
    contracts = sample_contracts(settings)
    checked = list(check_files(settings, contracts, files, source.value, day.date() if day else None))
    faults = [fault for _, of_file in checked for fault in of_file]
    if output is FaultFormat.junit:
        text = as_junit(checked)
    elif output is FaultFormat.json:
        text = "\n".join(json.dumps(asdict(fault)) for fault in faults)
    else:
        text = "\n".join(f"{one.path}: {one.severity}: {one.rule}: {one.message}" for one in faults)
    if out:
        out.write_text(text + "\n")
    elif text:
        typer.echo(text)
    errors = sum(fault.severity == "error" for fault in faults)
    told = (counted(len(checked), "file"), counted(errors, "error"), counted(len(faults) - errors, "warning"))
    messages.print("{}: {}, {}".format(*told))
    if errors or (strict and faults):
        raise typer.Exit(REFUSED)


@lineage_app.command("add", epilog="Example: `driftlake lineage add lineage/*.yaml`")
def lineage_add(
    files: Annotated[list[Path], typer.Argument(help="Lineage files, one per model version.")], config: Config = None
) -> None:
    """Register model versions: learn the bins of their features from the training data. Append-only."""
    from driftlake.lineage import read_lineage_file
    from driftlake.registration import register
    from driftlake.warehouse import Warehouse
    from expectations.contracts import contracts

    settings = load_settings(config)
    if absent := [str(path) for path in files if not path.is_file()]:
        raise ConfigurationError(f"there is no lineage file {', '.join(absent)}")
    offered = [read_lineage_file(str(path.resolve())) for path in files]
    with Warehouse.open(settings) as warehouse:
        registered = register(warehouse, settings, offered, contracts(settings))
    for file in offered:
        state = "registered" if file in registered else "already registered, unchanged"
        typer.echo(f"{file.record.model_id} {file.record.model_version}: {state}")


@lineage_app.command("export", epilog="Example: `driftlake lineage export --format csv --out versions.csv`")
def lineage_export(
    output: Output = Format.csv,
    out: Annotated[Path | None, typer.Option("--out", help="File to write instead of stdout.")] = None,
    config: Config = None,
) -> None:
    """Write the trail of model versions: training run, dataset, fingerprints, release, and what followed. Read-only."""
    from driftlake.warehouse import Warehouse

    with Warehouse.open(load_settings(config), read_only=True) as warehouse:
        _write(warehouse.query("version_trail"), output, out)


@app.command(epilog="Example: `driftlake pseudonymize raw/telemetry data/telemetry`")
def pseudonymize(
    source: Annotated[Path, typer.Argument(help="Parquet file, or folder of dt=YYYY-MM-DD folders.")],
    target: Annotated[Path, typer.Argument(help="File or folder to write; never the source.")],
    day: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="Day of a file that is in no dt=YYYY-MM-DD folder."),
    ] = None,
    config: Config = None,
) -> None:
    """Replace the raw identifiers of users by keyed hashes (HMAC-SHA-256), as `pseudonyms` in driftlake.yaml says."""
    from driftlake.pseudonyms import pseudonymize_files

    for written in pseudonymize_files(load_settings(config), source, target, day.date() if day else None):
        typer.echo(f"{written.path}: {written.row_count:,} rows, key {' and '.join(written.key_ids)}")


@app.command(epilog="Example: `driftlake run --date 2026-01-31`")
def run(
    day: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Partition day.")],
    force: Force = False,
    config: Config = None,
) -> None:
    """Run the nightly job for one day, in the Dagster instance that the UI shows; what did not change is left alone."""
    _run_days(load_settings(config, require_inputs=True), [(day.date(), day.date())], is_forced=force)


@app.command(epilog="Example: `driftlake backfill --from 2026-01-01 --to 2026-01-31`")
def backfill(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")],
    force: Force = False,
    config: Config = None,
) -> None:
    """Run the nightly job for a range of days, in few Dagster runs; what did not change is left alone."""
    _run_days(load_settings(config, require_inputs=True), [(first.date(), last.date())], is_forced=force)


@app.command(epilog="Example: `driftlake replay`")
def replay(config: Config = None) -> None:
    """Run the days again of which something is in quarantine, and the later days that rest on them.

    What was repaired is counted; what is still broken stays in the table quarantine, and the command ends with 1.
    """
    from driftlake import quarantine
    from driftlake.late_files import days_resting_on
    from driftlake.warehouse import Warehouse

    settings = load_settings(config, require_inputs=True)
    with Warehouse.open(settings, read_only=True) as warehouse:
        before = quarantine.every(warehouse)
        ranges = days_resting_on(warehouse, {one.dt for one in before})
    if not before:
        messages.print("nothing is in quarantine")
        return
    try:
        _run_days(settings, ranges, is_forced=False)
    finally:
        with Warehouse.open(settings, read_only=True) as warehouse:
            left = quarantine.every(warehouse)
        for one in left:
            _say("in quarantine", one.sentence)
        messages.print(f"in quarantine: {len(before)} before, {len(left)} now")


def _run_days(settings: Settings, ranges: Sequence[tuple[date, date]], *, is_forced: bool) -> None:
    first, last = ranges[0][0], ranges[-1][-1]
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from driftlake.inputs import days_between
    from driftlake.summary import summarize
    from driftlake.warehouse import Warehouse

    newest = settings.end or datetime.now(ZoneInfo(settings.schedule.timezone)).date() - timedelta(days=1)
    if not settings.start <= first <= last <= newest:
        raise ConfigurationError(
            f"{first} to {last} is no range of partition days: they go from {settings.start} to {newest}",
            hint="a day can be run once it is over; `start` and `end` are in driftlake.yaml",
        )
    runs = [days_between(*each) for each in ranges]
    failures: list[LaunchFailure] = []
    # by what was to do: done or unchanged
    partitions: Counter[str | None] = Counter()
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TextColumn("partitions"))
    # Dagster captures what a step prints, from the file descriptor up; the bar needs one of its own.
    screen = Console(file=os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8"))
    with Progress(*columns, TimeElapsedColumn(), console=screen, transient=True) as progress:
        task = progress.add_task("starting Dagster", total=None)
        from jobs.launch import launch, partitioned_asset_count

        progress.update(task, total=sum(map(len, runs)) * partitioned_asset_count(settings))
        size = settings.compute.partitions_per_run
        for some in (days[i : i + size] for days in runs for i in range(0, len(days), size)):

            def on_materialized(asset: str, partition: str | None, work: str | None) -> None:
                partitions[work] += 1
                progress.update(task, description=asset, advance=1 if partition else 0)

            if failure := launch(settings, some, on_materialized, is_forced=is_forced):
                failures.append(failure)
    for failure in failures:
        _say("failed", failure.message, style="bold red")
    if all(failure.is_refusal for failure in failures):
        with Warehouse.open(settings, read_only=True) as warehouse:
            for name, value in summarize(warehouse, settings, first, last):
                typer.echo(f"{name:<24} {value}")
        if unchanged := partitions["unchanged"]:
            _say_what_was_left_alone(unchanged, partitions["done"])
    if failures:
        raise typer.Exit(REFUSED if all(failure.is_refusal for failure in failures) else MISTAKE)


def _say_what_was_left_alone(unchanged: int, done: int) -> None:
    if done:
        messages.print(f"unchanged: {unchanged:,} of {unchanged + done:,} partitions, left as they were")
    else:
        messages.print(
            "unchanged: nothing these days rest on is new, so nothing was done; --force does it all again",
            soft_wrap=True,
        )


@app.command(epilog="Example: `driftlake sql 'select * from latest_drift limit 5' --format csv`")
def sql(
    query: Annotated[str | None, typer.Argument(help="A query; without one an interactive shell opens.")] = None,
    output: Output = Format.table,
    out: Annotated[Path | None, typer.Option("--out", help="File to write instead of stdout.")] = None,
    config: Config = None,
) -> None:
    """Query the warehouse, attached read-only."""
    from driftlake import shell
    from driftlake.warehouse import Warehouse

    with Warehouse.open(load_settings(config), read_only=True) as warehouse:
        if query is None:
            shell.interact(warehouse)
        else:
            _write(shell.answer(warehouse, query), output, out)


class Explanation(StrEnum):
    """How the chain behind a row is written."""

    text = "text"
    json = "json"


@app.command(epilog="Example: `driftlake explain feature_drift --date 2026-01-31 --where \"feature = 'age'\"`")
def explain(
    table: Annotated[str, typer.Argument(help="A result table, or a view.")],
    day: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Day of the row; default: newest.")
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", help="SQL condition that one row meets; default: all rows of the day.")
    ] = None,
    output: Annotated[Explanation, typer.Option("--format", help="text, or json, which lists every file.")] = (
        Explanation.text
    ),
    config: Config = None,
) -> None:
    """Print what a row rests on: runs, input files with fingerprints, training data, code, configuration. Read-only."""
    from driftlake.explained import as_json, as_text
    from driftlake.provenance import explain
    from driftlake.warehouse import Warehouse

    settings = load_settings(config)
    with Warehouse.open(settings, read_only=True) as warehouse:
        found = explain(warehouse, settings, table, day=day.date() if day else None, condition=where)
    typer.echo(as_json(found) if output is Explanation.json else as_text(found, settings.config_hash))


@alerts_app.callback(invoke_without_command=True, epilog="Example: `driftlake alerts --date 2026-01-31 --format json`")
def alerts(
    context: typer.Context,
    day: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Day; default: newest.")] = None,
    output: Output = Format.table,
    config: Config = None,
) -> None:
    """List the incidents of a day with their alerts, the worst first; with a command, say something about one."""
    from driftlake import runs
    from driftlake.listing import incident_lines
    from driftlake.shift_queries import query_of
    from driftlake.warehouse import Warehouse

    if context.invoked_subcommand:
        return
    with Warehouse.open(load_settings(config), read_only=True) as warehouse:
        asked = day.date() if day else runs.newest_day(warehouse)
        found = warehouse.query("report/alerts", day=asked, smallest_cell=1)
        incidents = warehouse.query("report/incidents", day=asked).to_pylist()
        if not runs.was_processed(warehouse, asked):
            raise ConfigurationError(f"{asked} was never processed", hint=f"run `driftlake run --date {asked}`")
    if not found.num_rows:
        messages.print(f"no alerts on {asked}")
    if output is not Format.table:
        queries = [query_of(row, asked) for row in found.to_pylist()]
        columns = ["severity", "rule", "since_on", "message", "owner", "runbook", "incident_id"]
        _write(found.select(columns).append_column("query", [queries]), output, None)
        return
    for line in incident_lines(incidents, found.to_pylist()):
        typer.echo(line)


@alerts_app.command(epilog="Example: `driftlake alerts show 3f9a --date 2026-01-31`")
def show(
    incident: Annotated[str, typer.Argument(help="An incident that is open on the day, by its id or how that begins.")],
    day: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Day; default: newest.")] = None,
    config: Config = None,
) -> None:
    """Show an incident with all of its alerts, the query that shows the heaviest, and a few predictions to look at."""
    from driftlake import runs
    from driftlake.exemplars import find_exemplars
    from driftlake.listing import exemplar_lines, incident_lines, members_of
    from driftlake.shift_queries import query_of
    from driftlake.warehouse import Warehouse

    settings = load_settings(config)
    with Warehouse.open(settings, read_only=True) as warehouse:
        asked = day.date() if day else runs.newest_day(warehouse)
        rows = warehouse.query("report/incidents", day=asked).to_pylist()
        wanted = [row for row in rows if row["incident_id"].startswith(incident)]
        if len(wanted) != 1:
            raise ConfigurationError(
                f"{len(wanted)} incidents that begin with {incident} are open on {asked}",
                hint=f"`driftlake alerts --date {asked}` lists them",
            )
        alerts = warehouse.query("report/alerts", day=asked, smallest_cell=1).to_pylist()
        members = members_of(alerts, wanted[0]["incident_id"])
        about_features = [one for one in members if one["signal"].startswith("feature_drift.")]
        exemplars = find_exemplars(warehouse, settings, about_features[0], asked) if about_features else []
    for line in incident_lines(wanted, members, shown=len(members)):
        typer.echo(line)
    typer.echo(f'driftlake sql "{query_of(members[0], asked)}"')
    for line in exemplar_lines(about_features, exemplars):
        typer.echo(line)


Target = Annotated[str, typer.Argument(help="An incident, by its id or how that begins, or a rule, by its name.")]
Until = Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="Last day; a past one takes it back.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for whoever reads it later.")]
By = Annotated[str | None, typer.Option("--by", help="Who; default: the user of the machine.")]


@alerts_app.command(epilog="Example: `driftlake alerts ack 3f9a --until 2026-02-07 --reason 'feed is being repaired'`")
def ack(target: Target, until: Until, reason: Reason, by: By = None, config: Config = None) -> None:
    """Say that somebody is on an incident: only that it becomes worse or ends is told of."""
    _say_of("ack", target, until, reason, by, config)


@alerts_app.command(epilog="Example: `driftlake alerts snooze 3f9a --until 2026-02-01 --reason 'after the weekend'`")
def snooze(target: Target, until: Until, reason: Reason, by: By = None, config: Config = None) -> None:
    """Put an incident or a rule off until a day: it is told of again after it."""
    _say_of("snooze", target, until, reason, by, config)


@alerts_app.command(epilog="Example: `driftlake alerts mute score-drift --until 2026-06-30 --reason 'new cut in May'`")
def mute(target: Target, until: Until, reason: Reason, by: By = None, config: Config = None) -> None:
    """Do not tell of an incident or a rule until a day. What happens meanwhile stays in the tables, marked."""
    _say_of("mute", target, until, reason, by, config)


def _say_of(
    action: Literal["ack", "snooze", "mute"],
    target: str,
    until: datetime,
    reason: str,
    by: str | None,
    config: Path | None,
) -> None:
    from driftlake.acknowledgements import say
    from driftlake.warehouse import Warehouse

    settings = load_settings(config)
    with Warehouse.open(settings) as warehouse:
        said = say(warehouse, settings, action, target, until_on=until.date(), reason=reason, acted_by=by)
    typer.echo(f"{said.action} {said.target_kind} {said.target} from {said.from_on} until {said.until_on}")


@alerts_app.command(
    "replay", epilog="Example: `driftlake alerts replay --rules new.yaml --from 2026-01-01 --to 2026-06-30`"
)
def replay_rules(
    rules: Annotated[Path, typer.Option("--rules", help="YAML file with rules below `alerts:`, as in driftlake.yaml.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")],
    output: Output = Format.table,
    config: Config = None,
) -> None:
    """Say what other rules would have raised, beside what was raised. Reads tables, changes nothing."""
    from driftlake.rule_trials import read_rules, try_rules
    from driftlake.warehouse import Warehouse

    settings = load_settings(config)
    offered = read_rules(rules, settings)
    with Warehouse.open(settings, read_only=True) as warehouse:
        trial = try_rules(warehouse, offered, first.date(), last.date())
    changes = Counter(trial.differences["change"].to_pylist())
    for row in trial.openings.to_pylist():
        messages.print(
            "{rule}: {alert_count:,} alerts on {day_count:,} days, opened {opening_count:,} times".format(**row)
        )
    messages.print(", ".join(f"{count:,} {change}" for change, count in sorted(changes.items())) or "no alerts")
    _write(trial.differences, output, None)


@alerts_app.command(epilog="Example: `driftlake alerts suggest --per-month 2 --from 2026-01-01 --to 2026-06-30`")
def suggest(
    per_month: Annotated[float, typer.Option("--per-month", help="How often a rule may open in a month, per model.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of the history.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")],
    config: Config = None,
) -> None:
    """Suggest the lowest thresholds with which each rule would have opened at most so often."""
    from driftlake.rule_trials import suggest as suggest_thresholds
    from driftlake.warehouse import Warehouse

    settings = load_settings(config)
    with Warehouse.open(settings, read_only=True) as warehouse:
        found = suggest_thresholds(
            warehouse, settings, settings.alert_rules, first.date(), last.date(), per_month=per_month
        )
    for one in found:
        now = f"{one.rule.name}: warn {one.rule.warn:g} opens {one.openings_per_month:.1f} times a month"
        wanted = (
            "no threshold of its history opens so rarely"
            if one.warn is None
            else f"warn {one.warn:.3g}, critical {one.critical:.3g} would open {one.suggested_per_month:.1f} times"
        )
        typer.echo(f"{now}; {wanted}")


@app.command(epilog="Example: `driftlake report --date 2026-01-31`")
def report(
    day: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Day to draw.")],
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Draw every day up to this.")] = None,
    config: Config = None,
) -> None:  # fmt: skip
    """Draw the page of a day, or of every day of a range, and the index."""
    from rich.progress import track

    from driftlake.inputs import days_between
    from driftlake.reporting import render_day, render_index
    from driftlake.warehouse import Warehouse

    settings = load_settings(config)
    days = days_between(day.date(), (last or day).date())
    if not days:
        raise ConfigurationError(f"--to ({last:%Y-%m-%d}) is before --date ({day:%Y-%m-%d})")
    with Warehouse.open(settings, read_only=True) as warehouse:
        for each in track(days, "drawing pages", console=messages, transient=True, disable=len(days) == 1):
            typer.echo(render_day(warehouse, settings, each))
        typer.echo(render_index(warehouse, settings))


def _write(rows: pa.Table, output: Format, out: Path | None) -> None:
    from driftlake import shell

    if output is Format.parquet and out is None and sys.stdout.isatty():
        raise ConfigurationError("Parquet is not for a terminal", hint="name a file with --out")
    if output is Format.table and out is None:
        shell.print_table(rows)
        return
    with out.open("wb") if out else nullcontext(sys.stdout.buffer) as target:
        shell.write_rows(rows, output.value, target)
