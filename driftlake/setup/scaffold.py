"""The files a new project starts with: a commented driftlake.yaml, its JSON Schema for editors, and a workspace.yaml for Dagster.

Not here: what the keys of driftlake.yaml are (`driftlake.config`), and checking what they name (`driftlake.setup.doctor`).
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

from driftlake.config import CONFIG_NAME, Settings
from driftlake.errors import ConfigurationError
from driftlake.lake import project_files
from driftlake.lake.whole_files import replaced_whole
from driftlake.setup.workspace import WORKSPACE_NAME


def json_schema() -> str:
    """JSON Schema of driftlake.yaml."""
    return json.dumps(Settings.model_json_schema(), indent=2) + "\n"


def write_configuration(folder: Path) -> list[Path]:
    """Write the files. Raises ConfigurationError if a configuration or a workspace already exists."""
    config, schema, workspace = (folder / name for name in (CONFIG_NAME, "driftlake.schema.json", WORKSPACE_NAME))
    for path in (config, workspace):
        if path.exists():
            raise ConfigurationError(f"{path} already exists", hint="edit it, or name another folder")
    texts = {
        config: _template(CONFIG_NAME),
        schema: json_schema(),
        # JSON is YAML, whatever characters the path has
        workspace: _template(WORKSPACE_NAME).format(folder=json.dumps(str(project_files.folder()))),
    }
    # all or none, so that the same command can be run again if the disk was full
    with ExitStack() as stack:
        for path, text in texts.items():
            stack.enter_context(replaced_whole(path)).write_text(text)
    return list(texts)


def _template(name: str) -> str:
    return files("driftlake.setup").joinpath("templates", name).read_text()
