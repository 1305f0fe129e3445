"""Telemetry as it was served, and offline values of the same predictions. Not here: comparing them (test_feature_skew.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from data import day, write_day
from project import ROWS, Project


def offline(project: Project, number: int, **changes: Any) -> Path:
    """The offline values of a day: those that were served, in another order, with some columns replaced."""
    served = pq.read_table(project.root / "telemetry" / f"dt={day(number)}" / "part-0.parquet")
    columns = {name: changes.get(name, served[name]) for name in ("correlation_id", "x", "colour")}
    return write_day(project.root / "offline", number, pa.table(columns).take(pa.array(range(ROWS)[::-1])))


def served(project: Project, number: int) -> pa.Table:
    return pq.read_table(project.root / "telemetry" / f"dt={day(number)}" / "part-0.parquet")
