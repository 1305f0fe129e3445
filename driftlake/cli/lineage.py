"""`driftlake lineage`: model versions and their training data.

Not here: registration (driftlake.training.registration).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from driftlake.cli.common import Config, Format, Output, configured, print_line, print_message, write
from driftlake.errors import ConfigurationError
from driftlake.lake import project_files

# Number of features named in a message; the others are counted.
_NAMED_FEATURES = 5

app = typer.Typer(no_args_is_help=True, help="Register model versions with their training data.")


@app.command("add", epilog="Example: `driftlake lineage add lineage/*.yaml`")
def lineage_add(
    files: Annotated[list[Path], typer.Argument(help="Lineage files, one per model version.")], config: Config = None
) -> None:
    """Register model versions: learn the bins of their features from the training data. Append-only."""
    from driftlake.lake.warehouse import Warehouse
    from driftlake.lineage.lineage_files import read_lineage_file
    from driftlake.lineage.versions import load_versions
    from driftlake.training.registration import register

    project_files.make_importable()
    from expectations.contracts import contracts

    settings = configured(config)
    if absent := [str(path) for path in files if not path.is_file()]:
        raise ConfigurationError(f"there is no lineage file {', '.join(absent)}")
    lineage_files = [read_lineage_file(settings, str(path.resolve())) for path in files]
    with Warehouse.open(settings) as warehouse:
        registered = register(warehouse, settings, lineage_files, contracts(settings))
        versions = load_versions(warehouse)
    for file in lineage_files:
        state = "registered" if file in registered else "already registered, unchanged"
        print_line(f"{file.record.model_id} {file.record.model_version}: {state}")
        version = versions[file.record.model_id, file.record.model_version]
        print_line(f"  {version.features_description}")
        if heaviest := version.heaviest_bins():
            print_message("note", _of_heaviest_bins(heaviest))
        for remark in file.remarks:
            print_message("hint", remark)


def _of_heaviest_bins(heaviest: Mapping[str, float]) -> str:
    from driftlake.vocabulary.wording import first_of

    ranked = sorted(heaviest, key=lambda name: -heaviest[name])
    named = first_of([f"{name} {heaviest[name]:.1%}" for name in ranked], _NAMED_FEATURES, others="others")
    return (
        f"bins with over 1 % of the training rows: {named}; shifts inside such a bin are not seen, and error_bound "
        "of ks_distance says how large they can be"
    )


@app.command("relearn", epilog="Example: `driftlake lineage relearn credit v1 --dry-run`")
def lineage_relearn(
    model_id: Annotated[str, typer.Argument(help="Model.")],
    model_version: Annotated[str, typer.Argument(help="Registered version.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done and change nothing.")] = False,
    drop_days: Annotated[
        bool, typer.Option("--drop-days", help="Also delete the counts of days whose telemetry no longer exists.")
    ] = False,
    config: Config = None,
) -> None:
    """Learn the bins of a version again from its training data, and print the days to be counted again.

    Counts in bins that change are deleted, so that no window mixes bins. Stop the nightly job before.
    """
    from driftlake.lake.warehouse import Warehouse
    from driftlake.training.relearning import relearn

    settings = configured(config)
    with Warehouse.open(settings, read_only=dry_run) as warehouse:
        found = relearn(warehouse, settings, model_id, model_version, is_dry_run=dry_run, is_dropping=drop_days)
    if not found.changed:
        print_line(f"{model_id} {model_version}: the bins would not change")
        return
    print_line(f"{model_id} {model_version}: new bins for {', '.join(found.changed)}")
    if found.days_without_telemetry:
        print_line(f"{len(found.days_without_telemetry)} days no longer have telemetry: their counts are deleted")
    if lasting := [day for day in found.days if day not in set(found.days_without_telemetry)]:
        print_line(
            f"{len(lasting)} days have to be counted again: driftlake backfill --from {lasting[0]} --to {lasting[-1]}"
        )


@app.command("suite", epilog="Example: `driftlake lineage suite credit v1 > expectations/telemetry_credit.json`")
def lineage_suite(
    model_id: Annotated[str, typer.Argument(help="Model.")],
    model_version: Annotated[str, typer.Argument(help="Registered version.")],
    config: Config = None,
) -> None:
    """Print a suite of Great Expectations with the ranges and categories of a version's training data, for you to edit."""
    from driftlake.lake.warehouse import Warehouse
    from driftlake.training.suggested_suite import suggest_suite

    with Warehouse.open(configured(config), read_only=True) as warehouse:
        print_line(suggest_suite(warehouse, model_id, model_version))


@app.command("export", epilog="Example: `driftlake lineage export --format csv --out versions.csv`")
def lineage_export(
    output: Output = Format.csv,
    out: Annotated[Path | None, typer.Option("--out", help="File to write instead of stdout.")] = None,
    config: Config = None,
) -> None:
    """Write one row per model version: training run, dataset, fingerprints, release, and the next version. Read-only."""
    from driftlake.lake.warehouse import Warehouse

    with Warehouse.open(configured(config), read_only=True) as warehouse:
        write(warehouse.query("lineage/version_trail"), output, out)
