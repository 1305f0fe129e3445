"""driftlake: nightly drift, label and quality analysis of production models, as SQL tables.

The names below are the public interface (docs/python.md). Each is imported on first use, so that the command starts
fast. Everything else may change between releases.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftlake.config import Settings, load_settings
    from driftlake.lake.warehouse import open_warehouse
    from driftlake.maths.drift_statistics import Statistic, register_statistic, resampled
    from driftlake.notebook.comparing import compare
    from driftlake.notebook.measuring import performance
    from driftlake.notebook.project import open as open  # noqa: A004  # called as driftlake.open

# without `open`, so that importing every name leaves the builtin as it is
__all__ = [
    "Settings",
    "Statistic",
    "compare",
    "load_settings",
    "open_warehouse",
    "performance",
    "register_statistic",
    "resampled",
]

__version__ = "0.1.0"

_HOMES = {
    "Settings": "driftlake.config",
    "Statistic": "driftlake.maths.drift_statistics",
    "compare": "driftlake.notebook.comparing",
    "load_settings": "driftlake.config",
    "open": "driftlake.notebook.project",
    "open_warehouse": "driftlake.lake.warehouse",
    "performance": "driftlake.notebook.measuring",
    "register_statistic": "driftlake.maths.drift_statistics",
    "resampled": "driftlake.maths.drift_statistics",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
