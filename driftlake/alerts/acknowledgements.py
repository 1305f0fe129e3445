"""Acknowledging, snoozing and muting incidents and rules, each with a reason and an end.

Nothing is ever deleted: incident_history shows the actions that applied on every day. Not here: planned downtime (`driftlake.config`).
"""

from __future__ import annotations

import getpass
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Literal

import pyarrow as pa

from driftlake.config import Settings
from driftlake.errors import ConfigurationError
from driftlake.lake import runs
from driftlake.lake.schema import arrow_schema
from driftlake.lake.warehouse import Warehouse

Action = Literal["ack", "snooze", "mute"]


@dataclass(frozen=True, slots=True)
class RecordedAction:
    """A row of alert_actions."""

    acted_at: datetime
    action: Action
    target_kind: Literal["incident", "rule"]
    target: str
    from_on: date
    until_on: date
    reason: str
    acted_by: str


def record_action(
    warehouse: Warehouse,
    settings: Settings,
    action: Action,
    target: str,
    *,
    until_on: date,
    reason: str,
    acted_by: str | None = None,
    acted_at: datetime | None = None,
) -> RecordedAction:
    """Record an action on an incident (its id, or the beginning of it) or a rule, from the newest day on.

    An end before that day cancels earlier actions. Raises ConfigurationError if there is no such target, or
    nothing to acknowledge: a rule is only muted or snoozed.
    """
    if not reason.strip():
        raise ConfigurationError("no reason was given", hint="give a reason with --reason, for later readers")
    kind, name = _target(warehouse, settings, target)
    if kind == "rule" and action == "ack":
        raise ConfigurationError(
            f"{name} is a rule, and only incidents can be acknowledged", hint="mute or snooze the rule"
        )
    who = acted_by or getpass.getuser()
    now = warehouse.time_of_next("alert_actions", "acted_at", acted_at or datetime.now(UTC))
    recorded = RecordedAction(now, action, kind, name, runs.newest_day(warehouse), until_on, reason.strip(), who)
    warehouse.append("alert_actions", pa.Table.from_pylist([asdict(recorded)], schema=arrow_schema("alert_actions")))
    return recorded


def _target(warehouse: Warehouse, settings: Settings, target: str) -> tuple[Literal["incident", "rule"], str]:
    if target in {rule.name for rule in settings.alert_rules}:
        return "rule", target
    found = warehouse.sql(
        "select distinct incident_id from incidents where starts_with(incident_id, ?) order by incident_id", [target]
    )["incident_id"].to_pylist()
    if len(found) == 1:
        return "incident", found[0]
    if found:
        raise ConfigurationError(
            f"{target} is the beginning of several incident ids: {', '.join(found)}", hint="give more of the id"
        )
    names = ", ".join(rule.name for rule in settings.alert_rules)
    raise ConfigurationError(
        f"there is no incident and no rule {target}; rules: {names}", hint="`driftlake alerts` lists the incidents"
    )
