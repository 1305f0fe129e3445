"""The files a new project starts with: a commented driftlake.yaml, its JSON Schema for editors, and a workspace.yaml for Dagster.

Not here: what the keys of driftlake.yaml are (`driftlake.config`), and whether what they name is there (`driftlake.setup.doctor`).
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from driftlake.config import CONFIG_NAME, Settings
from driftlake.errors import ConfigurationError
from driftlake.lake import project_files
from driftlake.setup.workspace import WORKSPACE_NAME


def json_schema() -> str:
    """JSON Schema of driftlake.yaml."""
    return json.dumps(Settings.model_json_schema(), indent=2) + "\n"


def write_configuration(folder: Path) -> list[Path]:
    """Write the files. Raises ConfigurationError rather than replace a configuration or a workspace."""
    config, schema, workspace = (folder / name for name in (CONFIG_NAME, "driftlake.schema.json", WORKSPACE_NAME))
    for path in (config, workspace):
        if path.exists():
            raise ConfigurationError(f"{path} already exists", hint="edit it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(_template(CONFIG_NAME))
    schema.write_text(json_schema())
    # JSON is YAML, whatever characters the path has
    workspace.write_text(_template(WORKSPACE_NAME).format(folder=json.dumps(str(project_files.folder()))))
    return [config, schema, workspace]


def _template(name: str) -> str:
    return files("driftlake.setup").joinpath("templates", name).read_text()
