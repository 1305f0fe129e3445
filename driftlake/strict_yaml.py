"""YAML files as pydantic models: every problem reported together, each with its key and line.

Not here: what the keys are (config/, lineage.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from driftlake.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)


def parse_yaml(model: type[Model], path: Path | str, text: str) -> Model:
    """Validate the YAML `text` of the file `path`; one ConfigurationError reports every problem with key and line."""
    try:
        content = yaml.safe_load(text)
        nodes = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} must be a mapping of keys to values, found {type(content).__name__}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = [_problem(path, nodes, item) for item in error.errors(include_url=False)]
        raise ConfigurationError("\n".join(problems)) from error


def _problem(path: Path | str, nodes: yaml.Node | None, item: Any) -> str:
    location = [part for part in item["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    key = ".".join(str(part) for part in location) or "the file"
    line = line_of(nodes, location)
    if item["type"] == "extra_forbidden":
        found = "unknown key"
    elif item["type"] == "missing":
        found = "required key is missing"
    else:
        found = f"{item['msg'].removeprefix('Value error, ')}"
        if not isinstance(item["input"], (dict, list, BaseModel)):
            found += f", found {item['input']!r}"
        if item["type"] == "string_type":
            found += "; write it in quotes"
    return f"{path}:{line}: {key}: {found}"


def line_of(node: yaml.Node | None, location: list[str | int]) -> int:
    """Line, from 1, of the deepest node on the way to `location` that the file really has."""
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(part)]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
