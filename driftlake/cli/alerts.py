"""`driftlake alerts`: showing and silencing incidents, and trying other rules on history.

Not here: evaluating rules (driftlake.alerts.rules).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from driftlake.cli.common import Config, Format, Output, configured, messages, print_line, require_range, write
from driftlake.errors import ConfigurationError

app = typer.Typer()


@app.callback(invoke_without_command=True, epilog="Example: `driftlake alerts --date 2026-01-31 --format json`")
def alerts(
    context: typer.Context,
    day: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Day; default: newest.")] = None,
    output: Output = Format.table,
    config: Config = None,
) -> None:
    """List the incidents of a day with their alerts, worst first. The commands below show or silence one of them."""
    from driftlake.alerts.shift_queries import query_of
    from driftlake.lake import runs
    from driftlake.lake.warehouse import Warehouse
    from driftlake.report.terminal import incident_lines

    if context.invoked_subcommand:
        return
    with Warehouse.open(configured(config), read_only=True) as warehouse:
        asked = day.date() if day else runs.newest_day(warehouse)
        found = warehouse.query("report/alerts", day=asked, smallest_cell=1)
        incidents = warehouse.query("report/incidents", day=asked).to_pylist()
        if not runs.was_processed(warehouse, asked):
            raise ConfigurationError(f"{asked} has not been processed", hint=f"run `driftlake run --date {asked}`")
    if not found.num_rows:
        messages.print(f"no alerts on {asked}")
    if output is not Format.table:
        queries = [query_of(row, asked) for row in found.to_pylist()]
        columns = ["severity", "rule", "since_on", "message", "owner", "runbook", "incident_id"]
        write(found.select(columns).append_column("query", [queries]), output, None)
        return
    for line in incident_lines(incidents, found.to_pylist()):
        print_line(line)


@app.command(epilog="Example: `driftlake alerts show 3f9a --date 2026-01-31`")
def show(
    incident: Annotated[
        str, typer.Argument(help="An incident that is open on the day: its id, or the beginning of its id.")
    ],
    day: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Day; default: newest.")] = None,
    config: Config = None,
) -> None:
    """Show an incident with all of its alerts, the query behind the most important one, and a few example predictions."""
    from driftlake.alerts.exemplars import are_about, find_exemplars
    from driftlake.alerts.shift_queries import command_of
    from driftlake.lake import runs
    from driftlake.lake.warehouse import Warehouse
    from driftlake.report.terminal import exemplar_lines, incident_lines, members_of

    settings = configured(config)
    with Warehouse.open(settings, read_only=True) as warehouse:
        asked = day.date() if day else runs.newest_day(warehouse)
        rows = warehouse.query("report/incidents", day=asked).to_pylist()
        wanted = [row for row in rows if row["incident_id"].startswith(incident)]
        if len(wanted) != 1:
            raise ConfigurationError(
                f"{len(wanted)} open incidents on {asked} have an id that begins with {incident}",
                hint=f"`driftlake alerts --date {asked}` lists them",
            )
        alerts = warehouse.query("report/alerts", day=asked, smallest_cell=1).to_pylist()
        members = members_of(alerts, wanted[0]["incident_id"])
        about_features = [alert for alert in members if are_about(alert)]
        exemplars = find_exemplars(warehouse, settings, about_features[0], asked) if about_features else []
    for line in incident_lines(wanted, members, shown=len(members)):
        print_line(line)
    print_line(command_of(members[0], asked))
    for line in exemplar_lines(about_features, exemplars):
        print_line(line)


Target = Annotated[str, typer.Argument(help="An incident (its id, or the beginning of its id) or the name of a rule.")]


Until = Annotated[
    datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="Last day; a past day cancels an earlier command.")
]


Reason = Annotated[str, typer.Option("--reason", help="The reason, for later readers.")]


By = Annotated[str | None, typer.Option("--by", help="Your name; default: the user of the machine.")]


@app.command(epilog="Example: `driftlake alerts ack 3f9a --until 2026-02-07 --reason 'feed is being repaired'`")
def ack(target: Target, until: Until, reason: Reason, by: By = None, config: Config = None) -> None:
    """Acknowledge an incident: notices are sent only if it becomes critical, and when it is resolved."""
    _act_on("ack", target, until, reason, by, config)


@app.command(epilog="Example: `driftlake alerts snooze 3f9a --until 2026-02-01 --reason 'after the weekend'`")
def snooze(target: Target, until: Until, reason: Reason, by: By = None, config: Config = None) -> None:
    """Silence an incident or a rule until a day; notices are sent again afterwards."""
    _act_on("snooze", target, until, reason, by, config)


@app.command(epilog="Example: `driftlake alerts mute score-drift --until 2026-06-30 --reason 'new cut in May'`")
def mute(target: Target, until: Until, reason: Reason, by: By = None, config: Config = None) -> None:
    """Send no notices of an incident or a rule until a day. The tables still contain them, marked as muted."""
    _act_on("mute", target, until, reason, by, config)


def _act_on(
    action: Literal["ack", "snooze", "mute"],
    target: str,
    until: datetime,
    reason: str,
    by: str | None,
    config: Path | None,
) -> None:
    from driftlake.alerts.acknowledgements import record_action
    from driftlake.lake.warehouse import Warehouse

    settings = configured(config)
    with Warehouse.open(settings) as warehouse:
        recorded = record_action(warehouse, settings, action, target, until_on=until.date(), reason=reason, acted_by=by)
    print_line(
        f"{recorded.action} {recorded.target_kind} {recorded.target} from {recorded.from_on} until {recorded.until_on}"
    )


@app.command("replay", epilog="Example: `driftlake alerts replay --rules new.yaml --from 2026-01-01 --to 2026-06-30`")
def replay_rules(
    rules: Annotated[Path, typer.Option("--rules", help="YAML file with rules below `alerts:`, as in driftlake.yaml.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")],
    output: Output = Format.table,
    config: Config = None,
) -> None:
    """Compare the alerts that other rules would have raised with those that were raised. Read-only."""
    from driftlake.alerts import rule_replay
    from driftlake.lake.warehouse import Warehouse

    require_range(first, last)
    settings = configured(config)
    replayed = rule_replay.read_rules(rules, settings)
    with Warehouse.open(settings, read_only=True) as warehouse:
        found = rule_replay.replay_rules(warehouse, replayed, first.date(), last.date())
    changes = Counter(found.differences["change"].to_pylist())
    for row in found.openings.to_pylist():
        messages.print(
            "{rule}: {alert_count:,} alerts on {day_count:,} days, opened {opening_count:,} times".format(**row)
        )
    messages.print(", ".join(f"{count:,} {change}" for change, count in sorted(changes.items())) or "no alerts")
    write(found.differences, output, None)


@app.command(epilog="Example: `driftlake alerts suggest --per-month 2 --from 2026-01-01 --to 2026-06-30`")
def suggest(
    per_month: Annotated[
        float, typer.Option("--per-month", help="How often a rule may open in a month, over all models together.")
    ],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of the history.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")],
    config: Config = None,
) -> None:
    """Suggest the lowest threshold at which each rule would have opened at most --per-month times a month."""
    from driftlake.alerts.rule_replay import suggest as suggest_thresholds
    from driftlake.lake.warehouse import Warehouse

    require_range(first, last)
    settings = configured(config)
    with Warehouse.open(settings, read_only=True) as warehouse:
        found = suggest_thresholds(
            warehouse, settings, settings.alert_rules, first.date(), last.date(), per_month=per_month
        )
    for suggestion in found:
        now = f"{suggestion.rule.name}: warn {suggestion.rule.warn:g} opens {suggestion.openings_per_month:.1f} times a month"
        wanted = (
            "every threshold within its history opens more often"
            if suggestion.warn is None
            else f"warn {suggestion.warn:.3g}, critical {suggestion.critical:.3g} would open {suggestion.suggested_per_month:.1f} times"
        )
        print_line(f"{now}; {wanted}")
