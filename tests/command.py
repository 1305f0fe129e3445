"""The `driftlake` command, run in the process of the tests. Not here: what it should answer (test_cli.py)."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from driftlake.cli import main


def driftlake(*arguments: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the command in this process, because a new process takes a second to start."""
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with (
        chdir(cwd),
        patch.dict(os.environ),
        patch.object(sys, "argv", ["driftlake", *arguments]),
        patch.object(sys, "stdin", io.StringIO(stdin)),
        patch.object(gc, "set_threshold"),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert isinstance(out.buffer, io.BytesIO)
    code = ended.value.code
    return subprocess.CompletedProcess(
        arguments, code if isinstance(code, int) else 0, out.buffer.getvalue().decode(), err.getvalue()
    )
