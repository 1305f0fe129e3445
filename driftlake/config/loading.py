"""Reads driftlake.yaml: finds the file and reports everything that is wrong with it, with key and line.

Not here: what the keys mean.
"""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from driftlake.config.alerts import AlertSettings
from driftlake.config.extensions import load_extensions
from driftlake.config.settings import Settings
from driftlake.config.strict_yaml import compose, construct, line_of, parse_yaml, read_yaml_text
from driftlake.errors import ConfigurationError

CONFIG_NAME = "driftlake.yaml"

CONFIG_VARIABLE = "DRIFTLAKE_CONFIG"


def load_settings(path: Path | None = None, *, require_inputs: bool = False) -> Settings:
    """Read driftlake.yaml: `path`, or the file DRIFTLAKE_CONFIG names, or the one in the current folder.

    Raises ConfigurationError that lists every problem with its key and line; with `require_inputs` a missing input
    folder is a problem, too. Callers that only read results need no inputs.
    """
    path = (path or Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_NAME)).resolve()
    if not path.is_file():
        raise ConfigurationError(
            f"there is no configuration file {path}",
            hint=f"create one with `driftlake init`, or name one with --config or {CONFIG_VARIABLE}",
        )
    text = read_yaml_text(path)
    nodes = compose(path, text)
    # first, because other keys may name the statistics that they register
    load_extensions(_extensions_in(construct(path, nodes)), path.parent)
    settings = parse_yaml(Settings, path, text)
    settings._root = path.parent  # noqa: SLF001  # private, so that no key of the file can set it
    _require_measured_signals(settings, path, nodes)
    if require_inputs:
        _require_folders(settings, path, nodes)
    return settings


def load_settings_if_any(path: Path | None = None) -> Settings | None:
    """The same for a command that needs no configuration: None if no file is named and there is none in the current folder."""
    is_named = path or os.environ.get(CONFIG_VARIABLE)
    return load_settings(path) if is_named or Path(CONFIG_NAME).is_file() else None


def _extensions_in(content: object) -> list[str]:
    """The value of drift.extensions if it is valid; an invalid one is reported when the file is parsed."""
    drift = content.get("drift") if isinstance(content, dict) else None
    listed = drift.get("extensions") if isinstance(drift, dict) else None
    return [path for path in listed if isinstance(path, str)] if isinstance(listed, list) else []


def _require_measured_signals(settings: Settings, path: Path, nodes: yaml.Node | None) -> None:
    section = ["alerts", "rules"] if isinstance(settings.alerts, AlertSettings) else ["alerts"]
    wrong = [
        f"{path}:{line_of(nodes, [*section, number, key])}: {'.'.join(section)}.{number}.{key}: {problem}"
        for number, rule in enumerate(settings.configured_rules or ())
        for key, problem in settings.problems(rule).items()
    ]
    if wrong:
        raise ConfigurationError(
            "\n".join(wrong), hint="choose one of them, or add it to the configuration that measures it"
        )


def _require_folders(settings: Settings, path: Path, nodes: yaml.Node | None) -> None:
    sections = {"telemetry": settings.telemetry, "labels": settings.labels, "lineage": settings.lineage}
    places = {name: settings.resolve(section.path) for name, section in sections.items() if section}
    missing = [
        f"{path}:{line_of(nodes, [name, 'path'])}: {name}.path: there is no folder {place}"
        for name, place in places.items()
        # the listing of the input reports a file in the place of a folder
        if "://" not in place and not (Path(place).is_dir() or (name != "lineage" and Path(place).is_file()))
    ]
    if missing:
        raise ConfigurationError("\n".join(missing), hint="create the folder or correct the path")
