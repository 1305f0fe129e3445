"""`driftlake verdict`: the verdicts on all models for a day, for people and for CI.

Not here: computing verdicts (driftlake.alerts.verdicts).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from driftlake.cli.common import REFUSED, Config, Format, Output, configured, write
from driftlake.config import TIER_WEIGHTS, Settings
from driftlake.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa

app = typer.Typer()


@app.command(epilog="Example: `driftlake verdict --date 2026-01-31 --format json`")
def verdict(
    day: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Day; default: newest.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model_id.")] = None,
    output: Output = Format.table,
    config: Config = None,
) -> None:
    """Print the verdict on every model version, the worst first, of equal ones the highest tier. Exit code 1 if a model is harmed, broken or blind."""
    from driftlake.alerts.verdicts import PAGING
    from driftlake.lake import runs
    from driftlake.lake.warehouse import Warehouse

    settings = configured(config)
    with Warehouse.open(settings, read_only=True) as warehouse:
        asked = day.date() if day else runs.newest_day(warehouse)
        if not runs.was_processed(warehouse, asked):
            raise ConfigurationError(f"{asked} has not been processed", hint=f"run `driftlake run --date {asked}`")
        found = warehouse.query("report/verdicts", day=asked)
    found = _with_tiers(found, settings)
    if model is not None:
        is_of_model = [model_id == model for model_id in found["model_id"].to_pylist()]
        if not any(is_of_model):
            known = ", ".join(sorted(set(found["model_id"].to_pylist()))) or "none"
            raise ConfigurationError(f"there is no verdict on model {model} on {asked}", hint=f"there are: {known}")
        found = found.filter(is_of_model)
    write(found, output, None)
    if set(found["verdict"].to_pylist()) & set(PAGING):
        raise typer.Exit(REFUSED)


def _with_tiers(verdicts: pa.Table, settings: Settings) -> pa.Table:
    """The verdicts with the tiers of their models; among equal verdicts, higher tiers come first."""
    import pyarrow as pa

    tiers = [settings.tier_of(model_id) for model_id in verdicts["model_id"].to_pylist()]
    words = verdicts["verdict"].to_pylist()
    places = {word: place for place, word in enumerate(dict.fromkeys(words))}
    order = sorted(range(len(tiers)), key=lambda row: (places[words[row]], -TIER_WEIGHTS[tiers[row]]))
    after_the_key = verdicts.schema.get_field_index("deployment") + 1
    with_tiers = verdicts.add_column(after_the_key, "tier", pa.array(tiers, pa.string()))
    return with_tiers.take(pa.array(order, pa.int64()))
