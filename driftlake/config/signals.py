"""The signals that a rule may name: those of `driftlake.vocabulary.signals`, and one for each source of drift and registered statistic.

Not here: the records themselves, and the rules (`driftlake.config.alerts`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from driftlake.config.drift import known_statistic
from driftlake.vocabulary.signals import DRIFT_SOURCES, PREDICTION_DRIFT, SIGNAL_SOURCES, SIGNALS, Signal, drift_signal


def every_signal() -> tuple[Signal, ...]:
    """Every signal that can have a value; scores are numbers, so they have the statistics of numbers."""
    from driftlake.maths.drift_statistics import NUMERIC, STATISTICS

    drift = (
        signal_of(f"{source.prefix}{statistic.name}")
        for source in DRIFT_SOURCES
        for statistic in STATISTICS.values()
        if source != PREDICTION_DRIFT or {*NUMERIC} <= {*statistic.kinds}
    )
    return (*drift, *SIGNALS.values())


def signal_of(name: str) -> Signal:
    """The record of a signal. A stored alert may be about a signal that is no longer registered; it gets a plain record."""
    prefix, _, statistic = name.partition(".")
    source = SIGNAL_SOURCES.get(prefix)
    if source is None or source not in DRIFT_SOURCES:
        return SIGNALS.get(name) or Signal(name, "drift", statistic.replace("_", " "), "number")
    # numpy and scipy are not needed to print a help text
    from driftlake.maths.drift_statistics import STATISTICS

    known = STATISTICS.get(statistic)
    return drift_signal(source, statistic, known.title, known.share_of) if known else drift_signal(source, statistic)


def _known_signal(signal: str) -> str:
    source, _, statistic = signal.partition(".")
    drift_sources = [of_drift.name for of_drift in DRIFT_SOURCES]
    if source in drift_sources:
        known_statistic(statistic)
    elif signal not in SIGNALS:
        patterns = [*(f"{of_drift}.<statistic>" for of_drift in drift_sources), *SIGNALS]
        raise ValueError(f"there is no signal '{signal}'; there are {', '.join(patterns)}")
    return signal


class _Listed:
    """Lists the signals in the JSON Schema, so that editors offer them; the user's own statistics are not known there."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        drift = "|".join(source.name for source in DRIFT_SOURCES)
        names = [signal.name for signal in every_signal()]
        return {**handler(schema), "anyOf": [{"enum": names}, {"pattern": rf"^({drift})\."}]}


AlertSignal = Annotated[str, AfterValidator(_known_signal), _Listed()]
