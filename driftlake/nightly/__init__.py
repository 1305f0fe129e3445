"""The stages of a night: read the inputs, call the pure parts, replace the partitions of the result tables.

Every stage takes the days it is about and may be run again for any of them; days on which nothing changed are left
alone. What cannot be read is recorded and left as it was; it never stops the other days. Not here: formulas, SQL,
Dagster, and what a day rests on (stages.py).
"""

from driftlake.nightly.derived import compare_days, measure_quality, measure_slos, raise_alerts
from driftlake.nightly.labels import count_labels
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.report import StageReport
from driftlake.stages import new_context

__all__ = [
    "StageReport",
    "compare_days",
    "count_labels",
    "measure_quality",
    "measure_slos",
    "new_context",
    "profile_days",
    "raise_alerts",
]
