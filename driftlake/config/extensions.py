"""Python files of the user that register statistics of their own.

Not here: the registry (`driftlake.maths.drift_statistics`).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from driftlake.errors import ConfigurationError


def load_extensions(paths: Sequence[str], root: Path) -> None:
    """Run the files, relative to `root`, once per process.

    Raises ConfigurationError naming the file that is missing or fails.
    """
    for path in paths:
        file = (root / path).resolve()
        name = f"driftlake_extension_{file.stem}_{abs(hash(file))}"
        if name not in sys.modules:
            _run(name, file)


def _run(name: str, file: Path) -> None:
    if not file.is_file():
        raise ConfigurationError(
            f"drift.extensions: there is no file {file}", hint="correct the path or create the file"
        )
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"drift.extensions: {file} is not a Python file", hint="its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code raises, the user has to look at this file
        del sys.modules[name]
        raise ConfigurationError(f"drift.extensions: {file} fails: {type(error).__name__}: {error}") from error
