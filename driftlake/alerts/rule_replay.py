"""Replays other rules on history: the alerts that they would have raised, and thresholds for a wanted number of alerts.

Telemetry is not read, because the signals of every day are stored rows. Not here: raising alerts (`driftlake.alerts.rules`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from driftlake.alerts.rules import fired
from driftlake.config import AlertRule, Settings
from driftlake.config.alerts import AlertSettings, AlertsSection
from driftlake.config.strict_yaml import parse_yaml, read_yaml_text
from driftlake.errors import ConfigurationError
from driftlake.lake.warehouse import Warehouse

_DAYS_PER_MONTH = 365.25 / 12


class _RulesFile(BaseModel):
    """A file of rules: the key `alerts` as in driftlake.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alerts: AlertsSection

    @property
    def rules(self) -> tuple[AlertRule, ...]:
        """All of them."""
        return (self.alerts.rules if isinstance(self.alerts, AlertSettings) else self.alerts) or ()


@dataclass(frozen=True, slots=True)
class Replay:
    """The alerts that rules would have raised: totals by rule, and each alert compared with those that were raised."""

    openings: pa.Table
    differences: pa.Table


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A threshold at which a rule would have opened at most as often as wanted; None if none of its values is high enough."""

    rule: AlertRule
    openings_per_month: float
    warn: float | None
    suggested_per_month: float | None

    @property
    def critical(self) -> float | None:
        """The critical threshold, in the same ratio to `warn` as in the rule."""
        return None if self.warn is None else self.warn * (self.rule.critical / self.rule.warn if self.rule.warn else 1)


def read_rules(path: Path, settings: Settings) -> tuple[AlertRule, ...]:
    """Rules of a YAML file. Raises ConfigurationError with key and line, also for a window that is not computed."""
    if not path.is_file():
        raise ConfigurationError(
            f"there is no rules file {path}", hint="create it, with the rules below `alerts:` as in driftlake.yaml"
        )
    rules = parse_yaml(_RulesFile, path, read_yaml_text(path)).rules
    if not rules:
        raise ConfigurationError(f"{path}: alerts: there are no rules", hint="add one, as in driftlake.yaml")
    for rule in rules:
        for problem in settings.problems(rule).values():
            raise ConfigurationError(
                f"{path}: rule {rule.name}: {problem}", hint="choose one of them, because history contains no others"
            )
    return rules


def replay_rules(warehouse: Warehouse, rules: Sequence[AlertRule], first_day: date, last_day: date) -> Replay:
    """What `rules` would have raised from `first_day` to `last_day`."""
    with warehouse.registered(replayed_alerts=fired(warehouse, rules, first_day=first_day, last_day=last_day)):
        return Replay(
            warehouse.query("alerts/rule_openings"),
            warehouse.query("alerts/alert_differences", first_day=first_day, last_day=last_day),
        )


def suggest(
    warehouse: Warehouse,
    settings: Settings,
    rules: Sequence[AlertRule],
    first_day: date,
    last_day: date,
    *,
    per_month: float,
) -> list[Suggestion]:
    """The lowest threshold of each rule with which it would have opened at most `per_month` times a month."""
    months = ((last_day - first_day).days + 1) / _DAYS_PER_MONTH
    return [_suggest(warehouse, settings, rule, (first_day, last_day), per_month, months) for rule in rules]


def _suggest(
    warehouse: Warehouse, settings: Settings, rule: AlertRule, span: tuple[date, date], per_month: float, months: float
) -> Suggestion:
    thresholds = [rule.warn, *_thresholds(warehouse, settings, rule, span)]
    candidates = [_with_threshold(rule, number, warn) for number, warn in enumerate(thresholds)]
    rows = replay_rules(warehouse, candidates, *span).openings.to_pylist()
    counts: dict[str, int] = {row["rule"]: row["opening_count"] for row in rows}
    openings = {
        warn: counts.get(candidate.name, 0) / months for warn, candidate in zip(thresholds, candidates, strict=True)
    }
    few_enough = [warn for warn, rate in openings.items() if rate <= per_month]
    warn = min(few_enough, default=None)
    return Suggestion(rule, openings[rule.warn], warn, None if warn is None else openings[warn])


def _thresholds(warehouse: Warehouse, settings: Settings, rule: AlertRule, span: tuple[date, date]) -> list[float]:
    found: Any = warehouse.query_signals(
        "alerts/signal_values",
        [rule.signal_record.source.name],
        signal=rule.signal,
        models=list(rule.models),
        features=list(rule.features),
        except_features=list(rule.except_features),
        window_days=rule.window_days if settings.windows_of(rule) else None,
        deployments=list(rule.deployments),
        minimum_sample=rule.minimum_sample,
        first_day=span[0],
        last_day=span[1],
    )["thresholds"][0].as_py()
    return sorted(set(found or ()))


def _with_threshold(rule: AlertRule, number: int, warn: float) -> AlertRule:
    return rule.model_copy(update={"name": f"{rule.name}-{number}", "warn": warn, "critical": warn})
