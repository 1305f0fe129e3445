"""driftlake.yaml as typed settings: every key, its default, its unit and its reason.

May import: maths, vocabulary, errors.
Not here: what the settings do.
"""

from driftlake.config.alerts import AlertRule, default_alerts
from driftlake.config.contracts import ContractSettings
from driftlake.config.delivery import Channel, DeliverySettings
from driftlake.config.drift import (
    DriftSettings,
    MultivariateSettings,
    OtherVersion,
    Period,
    ReferenceSetting,
    Thresholds,
)
from driftlake.config.inputs import (
    LabelSettings,
    LineageSettings,
    PersonalDataSettings,
    PseudonymKey,
    TelemetrySettings,
)
from driftlake.config.loading import CONFIG_NAME, load_settings, load_settings_if_any
from driftlake.config.models import (
    STATISTICS_OF_PERFORMANCE,
    TIER_WEIGHTS,
    CustomMetric,
    ModelSettings,
    QualitySettings,
    Tier,
)
from driftlake.config.objectives import SloSettings
from driftlake.config.places import ComputeSettings, ReportSettings, SparkSettings
from driftlake.config.settings import Settings, compute_of
from driftlake.config.signals import every_signal, signal_of
from driftlake.config.sources import EXPLANATIONS, LABELS, OFFLINE_VALUES, SOURCES, TELEMETRY, Source

__all__ = [
    "CONFIG_NAME",
    "EXPLANATIONS",
    "LABELS",
    "OFFLINE_VALUES",
    "SOURCES",
    "STATISTICS_OF_PERFORMANCE",
    "TELEMETRY",
    "TIER_WEIGHTS",
    "AlertRule",
    "Channel",
    "ComputeSettings",
    "ContractSettings",
    "CustomMetric",
    "DeliverySettings",
    "DriftSettings",
    "LabelSettings",
    "LineageSettings",
    "ModelSettings",
    "MultivariateSettings",
    "OtherVersion",
    "Period",
    "PersonalDataSettings",
    "PseudonymKey",
    "QualitySettings",
    "ReferenceSetting",
    "ReportSettings",
    "Settings",
    "SloSettings",
    "Source",
    "SparkSettings",
    "TelemetrySettings",
    "Thresholds",
    "Tier",
    "compute_of",
    "default_alerts",
    "every_signal",
    "load_settings",
    "load_settings_if_any",
    "signal_of",
]
