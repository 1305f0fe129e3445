"""YAML files as pydantic models: every problem reported together, each with its key and line.

Not here: what the keys are (`driftlake.config.settings` and the sections, `driftlake.lineage.lineage_files`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from driftlake.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)

# No key is nested deeper than a few levels; Python's recursion limit is a thousand calls.
_DEEPEST = 50
_TOO_DEEP = f"it is nested more than {_DEEPEST} deep"
# More values than any list of features has, and still few enough to validate quickly.
_MOST_VALUES = 200_000
# Python neither reads nor writes longer numbers (4,300 digits).
_LARGEST_BITS = 14_000
# Begins the tag of one of the forms that pydantic tries for a value; it is not part of the file.
FORM = "form-"
# Limits on the problems and values that are shown for one file.
_TOLD_PROBLEMS, _TOLD_CHARACTERS = 50, 120


def parse_yaml(model: type[Model], path: Path | str, text: str, remarks: list[str] | None = None) -> Model:
    """Validate the YAML `text` of the file `path`; one ConfigurationError reports every problem with key and line.

    Where text is expected, a number, date or boolean is read as it is written in the file: 1.10 is "1.10". `remarks` collects a sentence for each.
    """
    nodes = compose(path, text)
    content = construct(path, nodes)
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} must be a mapping of keys to values, found {type(content).__name__}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = _read_as_text(path, nodes, content, error)
    if remarks is not None:
        remarks += found
    try:
        return model.model_validate(content)
    except ValidationError as error:
        items = error.errors(include_url=False)
        problems = [_problem(path, nodes, item) for item in items[:_TOLD_PROBLEMS]]
        if len(items) > _TOLD_PROBLEMS:
            problems.append(f"{path}: and {len(items) - _TOLD_PROBLEMS:,} more problems")
        raise ConfigurationError("\n".join(problems)) from error


def compose(path: Path | str, text: str) -> yaml.Node | None:
    """The nodes of a YAML file, with their lines. Raises ConfigurationError if the text is not YAML or has too many values."""
    try:
        nodes: yaml.Node | None = _Loader(text).get_single_node()
        _measure(nodes, {})
    except yaml.YAMLError as error:
        raise _not_valid(path, error) from error
    return nodes


def construct(path: Path | str, nodes: yaml.Node | None) -> Any:
    """The values of a YAML file. Raises ConfigurationError, with key and line, for a value that cannot be read."""
    if nodes is None:
        return None
    try:
        return _Loader("").construct_document(nodes)
    except _NoValueError as error:
        where = f"{path}:{error.node.start_mark.line + 1}: {_key_of(nodes, error.node)}"
        found = str(error.node.value).encode(errors="backslashreplace").decode()
        raise ConfigurationError(f"{where}: {error}, found {shorten(found)}") from error
    except yaml.YAMLError as error:
        raise _not_valid(path, error) from error


def read_yaml_text(path: Path) -> str:
    """The text of a local YAML file. Raises ConfigurationError if it cannot be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}", hint="save it as UTF-8 text") from error


def shorten(text: str) -> str:
    """A value as it is shown in a message."""
    return text if len(text) <= _TOLD_CHARACTERS else f"{text[:_TOLD_CHARACTERS]}... ({len(text):,} characters)"


class _NoValueError(Exception):
    """A scalar that looks like a date or a number but is not valid."""

    def __init__(self, node: yaml.Node, why: str) -> None:
        self.node = node
        super().__init__(why)


class _Loader(yaml.SafeLoader):
    """A loader that names what it cannot construct, and refuses deep nesting before Python's recursion limit is reached."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.composer.ComposerError(None, None, _TOO_DEEP, self.get_mark())
        found: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return found

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        mapping: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in mapping.value:
            if isinstance(key, yaml.ScalarNode):
                if first := lines.get((key.tag, key.value)):
                    said = f"key {shorten(key.value)} is defined twice, first in line {first}"
                    raise yaml.composer.ComposerError(None, None, said, key.start_mark)
                lines[key.tag, key.value] = key.start_mark.line + 1
        return mapping

    def fetch_flow_collection_start(self, TokenClass: type[yaml.Token]) -> None:  # noqa: N803  # as it is called
        # the scanner runs ahead and visits every open bracket again for each further one
        if self.flow_level > _DEEPEST:
            raise yaml.scanner.ScannerError(None, None, _TOO_DEEP, self.get_mark())
        super().fetch_flow_collection_start(TokenClass)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  # as it is called
        try:
            value = super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            if isinstance(node, yaml.ScalarNode) and node.tag.endswith(":int"):
                raise _NoValueError(node, "is a number with too many digits") from error
            raise _NoValueError(node, str(error)) from error
        if isinstance(value, int) and value.bit_length() > _LARGEST_BITS:
            raise _NoValueError(node, "is a number with too many digits")
        if isinstance(value, str) and not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            raise _NoValueError(node, "contains an unpaired surrogate")
        return value


def _measure(node: yaml.Node | None, sizes: dict[int, int | None]) -> int:
    """How many values a node expands to: nested aliases can expand to very many."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) in sizes:
        known = sizes[id(node)]
        if known is None:
            raise yaml.composer.ComposerError(
                None, None, "an alias refers to the value that contains it", node.start_mark
            )
        return known
    sizes[id(node)] = None
    children = node.value if isinstance(node, yaml.SequenceNode) else [each for pair in node.value for each in pair]
    size = 1 + sum(_measure(child, sizes) for child in children)
    if size > _MOST_VALUES:
        raise yaml.composer.ComposerError(None, None, f"it has more than {_MOST_VALUES:,} values", node.start_mark)
    sizes[id(node)] = size
    return size


def _key_of(node: yaml.Node, wanted: yaml.Node) -> str:
    """The dotted key of a node inside another; `the file` if the node is not a value."""
    return ".".join(_way_to(node, wanted) or []) or "the file"


def _way_to(node: yaml.Node, wanted: yaml.Node) -> list[str] | None:
    if node is wanted:
        return []
    parts: list[tuple[str, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        parts = [(str(key.value), value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        parts = [(str(place), value) for place, value in enumerate(node.value)]
    for name, value in parts:
        if (rest := _way_to(value, wanted)) is not None:
            return [name, *rest]
    return None


def _not_valid(path: Path | str, error: yaml.YAMLError) -> ConfigurationError:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return ConfigurationError(f"{path} is not valid YAML: line {error.problem_mark.line + 1}: {error.problem}")
    return ConfigurationError(f"{path} is not valid YAML: {' '.join(str(error).split())}")


def _problem(path: Path | str, nodes: yaml.Node | None, item: Any) -> str:
    location = _location(item)
    key = ".".join(str(part) for part in location) or "the file"
    line = line_of(nodes, location)
    if item["type"] == "extra_forbidden":
        found = "unknown key"
    elif item["type"] == "missing":
        found = "required key is missing"
    else:
        found = f"{item['msg'].removeprefix('Value error, ')}"
        if not isinstance(item["input"], (dict, list, BaseModel)):
            found += f", found {shorten(repr(item['input']))}"
        if item["type"] == "string_type":
            found += "; write it in quotes"
    return f"{path}:{line}: {key}: {found}"


def _location(item: Any) -> list[str | int]:
    """Where in the file a problem is."""
    return [part for part in item["loc"] if not (isinstance(part, str) and part.startswith(("function-", FORM)))]


def _read_as_text(path: Path | str, nodes: yaml.Node | None, content: Any, error: ValidationError) -> list[str]:
    """Replace values of `content` by their texts where text is expected; returns a sentence for each."""
    remarks = []
    for item in error.errors(include_url=False):
        location = _location(item)
        node = _node_at(nodes, location)
        if item["type"] != "string_type" or not isinstance(node, yaml.ScalarNode) or item["input"] is None:
            continue
        parent = content
        for part in location[:-1]:
            parent = parent[part]
        parent[location[-1]] = node.value
        where = f"{path}:{node.start_mark.line + 1}: {'.'.join(map(str, location))}"
        remarks.append(f"{where}: {node.value} is read as text; write it in quotes")
    return remarks


def _node_at(node: yaml.Node | None, location: list[str | int]) -> yaml.Node | None:
    """The node at `location`; None if the file has none there."""
    for part in location:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            return None
    return node


def line_of(node: yaml.Node | None, location: list[str | int]) -> int:
    """Line, from 1, of the deepest node on the path to `location` that the file has."""
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
