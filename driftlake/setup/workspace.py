"""Whether the workspace.yaml of a project lets Dagster find driftlake. Nothing is imported, which would take seconds.

Not here: writing the file (`driftlake.setup.scaffold`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from driftlake.config import Settings
from driftlake.config.strict_yaml import compose, construct, read_yaml_text
from driftlake.errors import ConfigurationError
from driftlake.lake import project_files
from driftlake.setup.findings import Finding

WORKSPACE_NAME = "workspace.yaml"
_MODULE = "jobs.definitions"
_SUBJECT = "workspace"
_WRITE_IT = "run `driftlake init` in an empty folder and copy its workspace.yaml"


def examine_workspace(settings: Settings) -> Finding:
    """Check the workspace.yaml beside driftlake.yaml; the commands of driftlake do not need one."""
    path = Path(settings.resolve(WORKSPACE_NAME))
    if not path.exists():
        message = f"there is no {path}; only Dagster's UI needs it, and `driftlake init` writes one"
        return Finding(_SUBJECT, True, message)
    try:
        locations = _locations(path)
        modules = [module for location in locations if (module := _module(location))]
        if not modules and all("python_module" in location for location in locations):
            raise ConfigurationError(f"{path} has no location with the module {_MODULE}", hint=_WRITE_IT)
        places = [_place(path, module) for module in modules]
    except ConfigurationError as error:
        return Finding.of_error(_SUBJECT, error)
    if not places:
        return Finding(_SUBJECT, True, f"{path} names code servers or files, which are not checked")
    others = [place for place in places if place.resolve() != _own_place().resolve()]
    if others:
        message = f"{path} loads the driftlake in {others[0]}, but this command runs the one in {_own_place()}"
        return Finding(_SUBJECT, True, message)
    return Finding(_SUBJECT, True, f"{path} loads this driftlake")


def _locations(path: Path) -> list[Mapping[str, Any]]:
    try:
        content = construct(path, compose(path, read_yaml_text(path)))
    except ConfigurationError as error:
        raise ConfigurationError(error.message, hint=_WRITE_IT) from error
    locations = content.get("load_from") if isinstance(content, Mapping) else None
    if not isinstance(locations, list) or not all(isinstance(location, Mapping) for location in locations):
        raise ConfigurationError(f"{path} has no list `load_from` of code locations", hint=_WRITE_IT)
    return locations


def _module(location: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The entry of a location for the module of driftlake; None if it loads something else."""
    module = location.get("python_module")
    module = {"module_name": module} if isinstance(module, str) else module
    return module if isinstance(module, Mapping) and module.get("module_name") == _MODULE else None


def _place(path: Path, module: Mapping[str, Any]) -> Path:
    """The folder from which Dagster loads the module."""
    named = module.get("working_directory")
    folders = [path.parent / str(named)] if named else [Path(folder) for folder in sys.path]
    for folder in folders:
        if folder.joinpath(*_MODULE.split(".")).with_suffix(".py").is_file() and (folder / "sql" / "tables").is_dir():
            return folder
    raise ConfigurationError(
        f"{path} says that {_MODULE} is in {named or 'a folder on the path of Python'}, but it does not exist there",
        hint=f"write `working_directory: {_own_place()}`",
    )


def _own_place() -> Path:
    return Path(str(project_files.folder()))
