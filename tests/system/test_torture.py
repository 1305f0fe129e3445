"""A short form of bench/torture.py: every read beside writers and maintenance is checked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.torture import torture, warehouse_settings


@pytest.mark.processes
def test_reads_during_writes_and_maintenance_find_complete_days(tmp_path: Path) -> None:
    with warehouse_settings(tmp_path, "sqlite") as settings:
        done = torture(settings, tmp_path / "driftlake.yaml", seconds=2, seed=1)
    assert [text for each in done for text in each.deviations] == []
    totals: Counter[str] = sum((each.counts for each in done), Counter())
    assert min(totals[name] for name in ("commits", "reads", "maintenance runs", "compactions")) > 0
