"""All of driftlake.yaml, and the conditions between its sections.

Not here: the sections, and reading the file (`driftlake.config.loading`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
    model_validator,
)

from driftlake.config.alerts import AlertRule, AlertSettings, AlertsSection, IncidentSettings, default_alerts
from driftlake.config.base import Section
from driftlake.config.calendar import CalendarSettings
from driftlake.config.contracts import ContractSettings
from driftlake.config.delivery import DeliverySettings
from driftlake.config.drift import DriftSettings
from driftlake.config.inputs import LabelSettings, LineageSettings, PseudonymKey, PseudonymSettings, TelemetrySettings
from driftlake.config.models import ModelSettings, QualitySettings, Tier
from driftlake.config.objectives import SloSettings
from driftlake.config.places import ComputeSettings, ReportSettings, ScheduleSettings, SparkSettings, WarehouseSettings
from driftlake.config.sources import LABELS, OFFLINE_VALUES, SOURCES, TELEMETRY, Source
from driftlake.errors import ConfigurationError
from driftlake.vocabulary.signals import DRIFT_SOURCES


class Settings(Section):
    """All of driftlake.yaml."""

    telemetry: TelemetrySettings
    labels: LabelSettings | None = Field(default=None, description="Leave out if there are no labels.")
    lineage: LineageSettings
    warehouse: WarehouseSettings = WarehouseSettings()
    reports: ReportSettings = ReportSettings()
    start: date = Field(description="First partition day.")
    end: date | None = Field(default=None, description="Last partition day of a history that has ended.")
    schedule: ScheduleSettings = ScheduleSettings()
    calendar: CalendarSettings = CalendarSettings()
    models: dict[str, ModelSettings] = Field(default_factory=dict, description="Corrections per model_id.")
    drift: DriftSettings = DriftSettings()
    quality: QualitySettings = QualitySettings()
    contracts: ContractSettings = ContractSettings()
    alerts: AlertsSection | None = Field(
        default=None,
        description="Alert rules, as a list or with other settings in a mapping; if any are given, they replace the default rules below.",
    )
    incidents: IncidentSettings = IncidentSettings()
    slos: tuple[SloSettings, ...] = Field(
        default=(), description="Service level objectives, e.g. [{name: up, sli: availability, objective: 0.999}]."
    )
    pseudonyms: PseudonymSettings | None = Field(
        default=None,
        description="Keys for `driftlake pseudonymize`. The contract of telemetry checks that pseudonyms come from a valid key.",
    )
    delivery: DeliverySettings = DeliverySettings()
    compute: ComputeSettings = ComputeSettings()
    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb",
        description="What counts telemetry: duckdb (this machine) or spark (a cluster). The rows are the same.",
    )
    spark: SparkSettings = SparkSettings()

    # The folder of the file: relative paths are resolved against it.
    _root: Path = PrivateAttr(default_factory=Path.cwd)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.end is not None and self.end < self.start:
            raise ValueError(f"end ({self.end}) must not be before start ({self.start})")
        names = [rule.name for rule in self.configured_rules or ()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"alerts: rule name used twice: {', '.join(twice)}")
        objectives = [slo.name for slo in self.slos]
        if twice := sorted({name for name in objectives if objectives.count(name) > 1}):
            raise ValueError(f"slos: name used twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _objectives_are_measured(self) -> Settings:
        measured = {"quality": self.quality.windows_days, "drift_share": self.drift.windows_days}
        for slo in self.slos:
            windows = measured.get(slo.sli, ())
            if slo.window_days is not None and slo.window_days not in windows:
                raise ValueError(
                    f"slos: {slo.name}: {slo.sli} is measured over {', '.join(map(str, windows))} days, found"
                    f" {slo.window_days}"
                )
            if slo.metric not in {None, "latency_ms", *self.telemetry.latencies}:
                raise ValueError(f"slos: {slo.name}: metric {slo.metric} is not in telemetry.latencies")
            if slo.sli == "drift_share" and (problem := self._uncomputed(slo.statistic or "psi")):
                raise ValueError(f"slos: {slo.name}: {problem}")
            if slo.sli == "label_timeliness" and self.labels is None:
                raise ValueError(f"slos: {slo.name}: there are no labels")
        return self

    @property
    def pseudonym_keys(self) -> tuple[PseudonymKey, ...]:
        """Keys that pseudonyms may come from."""
        return self.pseudonyms.keys if self.pseudonyms else ()

    def pairs_of(self, model_id: str) -> tuple[tuple[str, str], ...]:
        """Pairs of features of a model that are counted together."""
        model = self.models.get(model_id)
        return model.pairs if model else ()

    def tier_of(self, model_id: str) -> Tier:
        """How important a model is."""
        model = self.models.get(model_id)
        return model.tier if model else "normal"

    def downtime_of(self, model_id: str, day: date) -> str | None:
        """Reason of the planned downtime of a model on a day; None if none is planned."""
        model = self.models.get(model_id)
        planned = model.downtime if model else ()
        return next((downtime.reason for downtime in planned if downtime.first_day <= day <= downtime.last_day), None)

    def windows_of(self, rule: AlertRule) -> tuple[int, ...] | None:
        """Windows over which the signal of a rule is measured; None for signals of one day."""
        section = rule.signal_record.source.windows
        return {"drift": self.drift.windows_days, "quality": self.quality.windows_days}[section] if section else None

    def problems(self, rule: AlertRule) -> dict[str, str]:
        """Reasons why the signal of a rule never has a value, by key of the rule; empty if it can have values."""
        found = {}
        windows = self.windows_of(rule)
        if windows and rule.window_days not in windows:
            measured = ", ".join(map(str, windows))
            found["window_days"] = f"{rule.signal} is measured over {measured} days, found {rule.window_days}"
        is_about_drift = rule.signal_record.source in DRIFT_SOURCES
        if is_about_drift and (problem := self._uncomputed(rule.signal.partition(".")[2])):
            found["signal"] = problem
        references = [
            reference if isinstance(reference, str) else reference.name for reference in self.drift.references
        ]
        if is_about_drift and (unknown := [reference for reference in rule.references if reference not in references]):
            known = ", ".join(references)
            found["references"] = f"there is no reference {', '.join(unknown)} in drift.references, which has {known}"
        if rule.opening_reference not in {None, *references}:
            found["opening_reference"] = f"there is no reference {rule.opening_reference} in drift.references"
        known_columns = self.telemetry.segments
        if unknown := [name for name in rule.segments if name.partition("=")[0] not in known_columns]:
            known = ", ".join(known_columns) or "no columns"
            found["segments"] = f"there is no segment {', '.join(unknown)}: telemetry.segments has {known}"
        return found

    def _uncomputed(self, statistic: str) -> str | None:
        """Why a drift statistic has no values; None if it has values."""
        computed = dict.fromkeys((*self.drift.statistics.numeric, *self.drift.statistics.categorical))
        if statistic in computed:
            return None
        return f"drift.statistics computes {', '.join(computed)}, not {statistic}"

    @property
    def configured_rules(self) -> tuple[AlertRule, ...] | None:
        """The rules that are given; None if there are none."""
        return self.alerts.rules if isinstance(self.alerts, AlertSettings) else self.alerts

    @property
    def false_pages_per_year(self) -> float:
        """Accepted number of pages a year although nothing is wrong."""
        return (self.alerts if isinstance(self.alerts, AlertSettings) else AlertSettings()).false_pages_per_year

    @property
    def alert_rules(self) -> tuple[AlertRule, ...]:
        """The rules in force: those given, or the default ones over the windows that are nearest to theirs."""
        if self.configured_rules is not None:
            return self.configured_rules
        return tuple(
            rule.model_copy(update={"window_days": min(windows, key=lambda days: abs(days - rule.window_days))})
            if (windows := self.windows_of(rule))
            else rule
            for rule in default_alerts()
        )

    def resolve(self, location: str) -> str:
        """Absolute form of a configured path; s3:// URIs stay unchanged, without a trailing slash."""
        return location.rstrip("/") if "://" in location else str((self._root / location).resolve())

    @property
    def input_locations(self) -> dict[str, str]:
        """Location of each input, by the setting that names it."""
        return {source.setting: location for source in SOURCES if (location := self.location_of(source))}

    @property
    def training_roots(self) -> tuple[str, ...]:
        """Places where training data may be. The author of a lineage file must not be able to read any other file of this machine."""
        lineage = self.resolve(self.lineage.path)
        beside_lineage = lineage.rpartition("/")[0] if lineage.count("/") > 1 else lineage
        return (str(self._root.resolve()), beside_lineage, *map(self.resolve, self.lineage.training_roots))

    def location_of(self, source: Source) -> str | None:
        """Where an input is; None if there is none."""
        found: Any = self
        for key in source.setting.split("."):
            found = getattr(found, key, None)
        return self.resolve(found) if found else None

    def mapping_of(self, source: Source) -> Mapping[str, str]:
        """The column names in the files of an input, by canonical name, where they differ."""
        offline = self.telemetry.offline
        mappings = {
            TELEMETRY: self.telemetry.columns,
            OFFLINE_VALUES: offline.columns if offline else {},
            LABELS: self.labels.columns if self.labels else {},
        }
        return mappings.get(source, {})

    def partitioning_of(self, source: Source) -> str | None:
        """The configured pattern of the day folders of an input, if there is one."""
        offline = self.telemetry.offline
        said = {
            TELEMETRY: self.telemetry.partitioning,
            OFFLINE_VALUES: offline.partitioning if offline else None,
            LABELS: self.labels.partitioning if self.labels else None,
        }
        return said.get(source)

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder: DAGSTER_HOME, or .dagster beside driftlake.yaml."""
        return Path(os.environ.get("DAGSTER_HOME") or self._root / ".dagster")

    @property
    def extension_texts(self) -> list[str]:
        """The texts of the files of drift.extensions."""
        return [Path(self.resolve(path)).read_text() for path in self.drift.extensions]

    @property
    def suite_folder(self) -> Path:
        """Folder of the user's suites; the default folder need not exist."""
        return Path(self.resolve(self.contracts.suites))

    @property
    def suite_texts(self) -> dict[str, str]:
        """The texts of the JSON files in the folder of the user's suites, by name.

        Raises ConfigurationError if the folder is configured but does not exist, or a file cannot be read.
        """
        folder = self.suite_folder
        if "suites" in self.contracts.model_fields_set and not folder.is_dir():
            raise ConfigurationError(
                f"contracts.suites: there is no folder {folder}", hint="create it or correct the path"
            )
        texts = {}
        for path in sorted(folder.glob("*.json")):
            try:
                texts[path.name] = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{path} cannot be read: {error}", hint="save it as UTF-8 text") from error
        return texts

    @property
    def config_hash(self) -> str:
        """SHA-256 over the settings that can change a number; which machines are used, and how much of them, cannot."""
        unrelated = dict.fromkeys(("compute", "delivery", "engine", "reports", "schedule", "spark"), True)
        kept: dict[str, Any] = {
            "warehouse": {"snapshot_retention_days", "file_grace_days"},
            "lineage": {"training_roots"},
            "models": {"__all__": {"owner"}},
        }
        content = self.model_dump(mode="json", exclude={**unrelated, **kept})
        content["timezone"] = self.schedule.timezone
        content["extensions"] = self.extension_texts
        content["suites"] = self.suite_texts
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def compute_of(settings: Settings | None) -> ComputeSettings:
    """The limits of a command that needs no configuration: those of its settings, or the default ones."""
    return settings.compute if settings else ComputeSettings()
