"""The files a new project starts with: a commented driftlake.yaml and the JSON Schema that editors check it against."""

from __future__ import annotations

import json
from pathlib import Path

from driftlake.config import CONFIG_NAME, Settings
from driftlake.errors import ConfigurationError

_TEMPLATE = Path(__file__).parent / "templates" / CONFIG_NAME


def json_schema() -> str:
    """JSON Schema of driftlake.yaml."""
    return json.dumps(Settings.model_json_schema(), indent=2) + "\n"


def write_configuration(folder: Path) -> list[Path]:
    """Write driftlake.yaml and driftlake.schema.json. Raises ConfigurationError rather than replace a configuration."""
    config, schema = folder / CONFIG_NAME, folder / "driftlake.schema.json"
    if config.exists():
        raise ConfigurationError(f"{config} is there already", hint="edit it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(_TEMPLATE.read_text())
    schema.write_text(json_schema())
    return [config, schema]
