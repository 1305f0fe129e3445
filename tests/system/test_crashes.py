"""A short form of bench/crashes.py: a load that is killed, and the same commands again; and what it leaves if it is interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.crashes import crash_once

ROOT = Path(__file__).resolve().parents[2]
INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from bench.broken_machine import disks, unwound_by_signals
with unwound_by_signals(), disks([Path(sys.argv[1])]):
    os.kill(os.getpid(), int(sys.argv[2]))
"""


@pytest.mark.processes
def test_the_same_commands_again_are_all_that_a_kill_needs(tmp_path: Path) -> None:
    outcome = crash_once(tmp_path, seed=1)
    assert outcome.losses == []
    assert outcome.kill_count > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_unmounts_the_disks(tmp_path: Path, number: signal.Signals) -> None:
    place = tmp_path / "disk"
    interrupted = [sys.executable, "-c", INTERRUPTED, str(place), str(number.value)]
    assert subprocess.run(interrupted, cwd=ROOT, check=False).returncode == 128 + number
    assert not place.is_mount()
