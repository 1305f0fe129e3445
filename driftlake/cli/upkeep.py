"""Commands that look after the warehouse: maintain, backup, restore.

Not here: what they do to it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from driftlake.cli.common import Config
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
        typer.echo(line)
