"""A short form of bench/crashes.py: a load that is killed, and the same commands again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.crashes import crash_once


@pytest.mark.processes
def test_the_same_commands_again_are_all_that_a_kill_needs(tmp_path: Path) -> None:
    outcome = crash_once(tmp_path, seed=1)
    assert outcome.losses == []
    assert outcome.faults["killed"] > 0
