"""Commands that look after the warehouse: maintain, backup, restore.

Not here: what they do to it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from driftlake.cli.common import Config, tell
from driftlake.config import load_settings

app = typer.Typer()


@app.command(epilog="Example: `driftlake maintain --dry-run`")
def maintain(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    config: Config = None,
) -> None:
    """Merge small files of the warehouse, expire old snapshots, delete files that nothing needs. Rows stay as they are."""
    from driftlake.catalog import catalog_of
    from driftlake.maintenance import maintain, upkeep_lines
    from driftlake.warehouse import Warehouse

    settings = load_settings(config)
    catalog_of(settings).require()
    with Warehouse.open(settings) as warehouse:
        done = maintain(warehouse, settings, now=datetime.now(UTC), is_dry_run=dry_run)
    for line in upkeep_lines(done):
        tell(line)


@app.command(epilog="Example: `driftlake backup /backups/driftlake`")
def backup(
    target: Annotated[
        Path, typer.Argument(help="Folder: a new one, or that of an earlier backup, which is brought up to date.")
    ],
    config: Config = None,
) -> None:
    """Copy the warehouse to a folder, also while runs write. Of a folder that has an earlier backup only the rest is copied."""
    from driftlake.backup import back_up
    from driftlake.wording import counted

    done = back_up(load_settings(config), target)
    tell(f"{done.place}: {counted(done.file_count, 'new file')}, {counted(done.byte_count, 'byte')}")


@app.command(epilog="Example: `driftlake restore /backups/driftlake --config elsewhere/driftlake.yaml`")
def restore(
    source: Annotated[Path, typer.Argument(help="Folder that `driftlake backup` was given.")], config: Config = None
) -> None:
    """Put a backup where driftlake.yaml has its warehouse. An existing warehouse is never overwritten."""
    from driftlake.backup import restore
    from driftlake.wording import counted

    done = restore(load_settings(config), source)
    tell(f"{done.place}: {counted(done.file_count, 'file')}, {counted(done.byte_count, 'byte')}")
