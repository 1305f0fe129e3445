"""The settings that a call uses: those of a driftlake.yaml, or the defaults, changed by the arguments of the call.

Not here: the settings themselves (`driftlake.config`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from driftlake.config import Settings, load_settings
from driftlake.errors import ConfigurationError

Config: TypeAlias = "Settings | str | os.PathLike[str] | None"
Model = TypeVar("Model", bound=BaseModel)

# only its sections about drift, quality and models are used
_DEFAULTS = {"telemetry": {"path": "."}, "lineage": {"path": "."}, "start": "2000-01-01"}


def settings_of(config: Config) -> Settings:
    """Settings, those of a file, or the defaults."""
    if isinstance(config, Settings):
        return config
    return Settings.model_validate(_DEFAULTS) if config is None else load_settings(Path(config))


def changed(section: Model, changes: Mapping[str, Any] | None, name: str) -> Model:
    """A section with some of its keys changed. Raises ConfigurationError for a key or a value that it cannot have."""
    return checked(type(section), {**section.model_dump(exclude_unset=True), **(changes or {})}, name)


def checked(model: type[Model], content: Mapping[str, Any], name: str) -> Model:
    """`content` as `model`. Raises ConfigurationError, which calls it `name`, with everything that is wrong."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = [
            f"{'.'.join([name, *map(str, each['loc'])])}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        ]
        raise ConfigurationError("; ".join(found)) from error
