"""Commands for the upkeep of the warehouse: maintain, verify, erase, backup, restore.

Not here: the work itself.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from driftlake.cli.common import REFUSED, Config, configured, messages, print_line, print_message
from driftlake.cli.running import run_again
from driftlake.errors import ConfigurationError

app = typer.Typer()


@app.command(epilog="Example: `driftlake maintain --dry-run`")
def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done and change nothing.")] = False,
    config: Config = None,
) -> None:
    """Compact small files of the warehouse, expire old snapshots, delete unneeded files and old pages. Rows do not change."""
    from driftlake.lake.catalog import catalog_of
    from driftlake.lake.maintenance import maintain, upkeep_lines
    from driftlake.lake.warehouse import Warehouse
    from driftlake.report.page_files import removed_lines
    from driftlake.report.pages import clean

    settings, now = configured(config), datetime.now(UTC)
    catalog_of(settings).require()
    with Warehouse.open(settings) as warehouse:
        done = maintain(warehouse, settings, now=now, is_dry_run=dry_run)
        removed = clean(warehouse, settings, now=now, is_dry_run=dry_run)
    for line in (*upkeep_lines(done), *removed_lines(removed)):
        print_line(line)


@app.command(epilog="Example: `driftlake verify --repair`")
def verify(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Run the days with deviations again, and the later days that depend on them."),
    ] = False,
    config: Config = None,
) -> None:
    """Check that every table has the recorded row counts, no key twice, and sums that agree. Exit code 1 if not."""
    from driftlake.lake.catalog import catalog_of
    from driftlake.lake.verification import verify
    from driftlake.lake.warehouse import Warehouse
    from driftlake.vocabulary.wording import counted

    settings = configured(config, require_inputs=repair)
    catalog_of(settings).require()
    # opened for writing, which upgrades a warehouse of an earlier release
    with Warehouse.open(settings) as warehouse, messages.status("reading every table"):
        found = verify(warehouse)
    for deviation in found:
        print_message("wrong", deviation.sentence, style="bold red")
    if not found:
        messages.print("verified: row counts are as recorded, no key occurs twice, sums agree")
        return
    days = {deviation.dt for deviation in found if deviation.dt}
    if not repair or not days:
        messages.print(f"wrong: {counted(len(found), 'finding')} on {counted(len(days), 'day')}")
        print_message(
            "hint",
            "`driftlake verify --repair` runs these days again"
            if days
            else "restore a backup, because these rows do not belong to a day",
        )
        raise typer.Exit(REFUSED)
    try:
        run_again(settings, days)
    finally:
        with Warehouse.open(settings, read_only=True) as warehouse:
            left = verify(warehouse)
        for deviation in left:
            print_message("still wrong", deviation.sentence, style="bold red")
        messages.print(f"wrong: {counted(len(found), 'finding')} before, {len(left)} now")
    raise typer.Exit(REFUSED if left else 0)


@app.command(epilog="Example: `driftlake erase --user-key u-1734 --dry-run`")
def erase(
    correlation_id: Annotated[
        str | None, typer.Option("--correlation-id", help="The prediction, as `correlation_id` in telemetry.")
    ] = None,
    user_key: Annotated[
        str | None,
        typer.Option(
            "--user-key",
            help="The person: a pseudonym, or an identifier; its pseudonyms by the configured keys are searched, too.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be erased and change nothing.")] = False,
    purge: Annotated[
        bool,
        typer.Option(
            "--purge",
            help="Remove all earlier snapshots immediately. Rows can then no longer be read as they were written.",
        ),
    ] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who erases; default: the user of this machine.")] = None,
    config: Config = None,
) -> None:
    """Find what tables and pages store about a prediction or a person, erase it, and record that in the table erasures.

    Input files and backups are not changed.
    """
    from getpass import getuser

    from driftlake.lake.catalog import catalog_of
    from driftlake.lake.maintenance import forget_history
    from driftlake.lake.warehouse import Warehouse
    from driftlake.privacy.erasure import erase, erasure_lines, find, identity_of, remaining_lines
    from driftlake.report.page_files import pages_with

    settings = configured(config)
    if (correlation_id is None) == (user_key is None):
        raise ConfigurationError("what is to be erased is not clear", hint="give --correlation-id or --user-key")
    catalog_of(settings).require()
    if user_key is None:
        identity = identity_of(settings, "correlation_id", correlation_id or "")
    else:
        identity = identity_of(settings, "user_key", user_key)
    pages = pages_with(settings, identity.forms)
    with Warehouse.open(settings, read_only=dry_run) as warehouse:
        if dry_run:
            found = find(warehouse, identity)
        else:
            for page in pages:
                page.unlink(missing_ok=True)
            who = by or getuser()
            found = erase(warehouse, identity, erased_by=who, page_count=len(pages), is_purged=purge)
            if purge:
                forget_history(warehouse, catalog_of(settings))
    for line in erasure_lines(found, len(pages)):
        print_line(line)
    for sentence in remaining_lines(settings, identity, is_purged=purge and not dry_run):
        print_message("note", sentence)


@app.command(epilog="Example: `driftlake backup /backups/driftlake`")
def backup(
    target: Annotated[
        Path, typer.Argument(help="A new folder, or one with an earlier backup, which is brought up to date.")
    ],
    config: Config = None,
) -> None:
    """Copy the warehouse to a folder, also during runs. If the folder has a backup, only new files are copied."""
    from driftlake.lake.backup import back_up
    from driftlake.vocabulary.wording import counted

    done = back_up(configured(config), target)
    print_line(f"{done.place}: {counted(done.file_count, 'new file')}, {counted(done.byte_count, 'byte')}")


@app.command(epilog="Example: `driftlake restore /backups/driftlake --config elsewhere/driftlake.yaml`")
def restore(
    source: Annotated[Path, typer.Argument(help="The folder that was given to `driftlake backup`.")],
    config: Config = None,
) -> None:
    """Restore a backup to the warehouse that driftlake.yaml names. An existing warehouse is never overwritten."""
    from driftlake.lake.backup import restore
    from driftlake.vocabulary.wording import counted

    done = restore(configured(config), source)
    print_line(f"{done.place}: {counted(done.file_count, 'file')}, {counted(done.byte_count, 'byte')}")
