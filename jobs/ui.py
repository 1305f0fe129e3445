"""`python -m jobs.ui`: Dagster's UI and daemon for this project, on the instance that `driftlake run` uses.

Not here: preparing the instance (`jobs.launch`).
"""

import os
import sys
from pathlib import Path

from driftlake.config import load_settings
from driftlake.errors import DriftlakeError
from jobs.launch import prepare_instance

_WORKSPACE = Path(__file__).resolve().parent.parent / "workspace.yaml"


def main() -> None:
    """Replace this process with `dagster dev`; further arguments are passed on, e.g. --port 3001."""
    try:
        prepare_instance(load_settings())
    except DriftlakeError as error:
        sys.exit(f"error: {error}")
    # `dagster dev` recommends a command of a package that is not needed here.
    os.environ["PYTHONWARNINGS"] = "ignore:Function `dev_command` is superseded"
    arguments = ["dagster", "dev", "--workspace", str(_WORKSPACE), *sys.argv[1:]]
    os.execv(sys.executable, [sys.executable, "-m", *arguments])  # noqa: S606  # no shell wanted


if __name__ == "__main__":
    main()
