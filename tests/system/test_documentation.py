"""Commands, configuration, SQL, Python, names and links in README and docs work as shown."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer
import yaml
from data import write_project

from driftlake.cli import app
from driftlake.config import Settings, every_signal
from driftlake.lake import schema
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import LineageRecord, read_lineage_folder
from driftlake.setup.doctor import examine
from driftlake.training.registration import register

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("README.md"))]
DRIFTLAKE = typer.main.get_command(app)
COMPLETE = {**{name: {"path": name} for name in ("telemetry", "labels", "lineage")}, "start": "2024-01-01"}
# what a plain client does before it can query
SETTING_UP = ("install ", "attach ", "create persistent secret ")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text()
        for found in re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(str(page.relative_to(ROOT)), line, found[2], textwrap.dedent(found[3]))


BLOCKS = list(_blocks())


def blocks(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def shown_commands() -> list[tuple[str, list[str], bool]]:
    """Page and line of each `driftlake` command, its words, and whether it can be run as shown."""
    in_blocks = [
        (str(block), part, True)
        for block in blocks("console", "sh")
        for line in block.text.splitlines()
        for part in line.removeprefix("$ ").split("&&")
        if block.language == "sh" or line.startswith("$ ")
    ]
    in_sentences = [
        (str(page.relative_to(ROOT)), part, False)
        for page in PAGES
        for part in re.findall(r"`(driftlake [^`]+)`", page.read_text())
    ]
    in_help = [
        (name, part, True)
        for name, text in _epilogs(DRIFTLAKE, "driftlake")
        for example in re.findall(r"`(driftlake .+)`", text)
        for part in example.split("&&")
    ]
    shown = in_blocks + in_sentences + in_help
    found = [(place, shlex.split(part, comments=True), complete) for place, part, complete in shown]
    return [
        (place, _without_redirection(words), complete) for place, words, complete in found if "driftlake" in words[:1]
    ]


def _epilogs(command: Any, name: str) -> Iterator[tuple[str, str]]:
    """The last lines of the help of a command and of those below it."""
    if command.epilog:
        yield f"{name} --help", command.epilog
    for below in getattr(command, "commands", {}).values():
        yield from _epilogs(below, f"{name} {below.name}")


def _without_redirection(words: list[str]) -> list[str]:
    return words[: words.index(">")] if ">" in words else words


@pytest.mark.parametrize(
    ("words", "complete"),
    [pytest.param(words, done, id=f"{place}: {' '.join(words)}") for place, words, done in shown_commands()],
)
def test_a_command_that_is_shown_exists_with_its_options(words: list[str], complete: bool) -> None:
    command: Any = DRIFTLAKE
    context = command.context_class(command, info_name="driftlake")
    words = words[1:]
    while hasattr(command, "commands"):
        _, words, _ = command.make_parser(context).parse_args(args=words)
        if not words:
            return
        assert words[0] in command.commands
        command, words = command.commands[words[0]], words[1:]
        context = command.context_class(command, parent=context, info_name=command.name)
    values, left_over, _ = command.make_parser(context).parse_args(args=words)
    assert not left_over
    if complete:
        for option in command.params:
            option.process_value(context, values.get(option.name))


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_that_is_shown_is_valid(block: Block) -> None:
    shown = yaml.safe_load(block.text)
    if block.page == "docs/deployment.md":
        assert set(shown) <= {
            "load_from",
            "telemetry",
            "nux",
            "concurrency",
            "run_monitoring",
            "run_retries",
            "retention",
            "storage",
        }
    elif "model_id" in shown:
        LineageRecord.model_validate(shown)
    else:
        Settings.model_validate(COMPLETE | shown)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project with the model credit and its feature age."""
    training = {"age": [30.0, 40.0], "score": [0.1, 0.2]}
    return write_project(tmp_path_factory.mktemp("shown"), features=["age"], training=training)


@pytest.fixture(scope="module")
def warehouse(project: Settings) -> Iterator[Warehouse]:
    with Warehouse.open(project) as empty:
        register(empty, project, read_lineage_folder(project))
        for macro in schema.warehouse_macros():
            empty.connection.execute(macro)
        yield empty


def test_every_query_that_is_shown_fits_the_tables(warehouse: Warehouse) -> None:
    queries = [part for block in blocks("sql") for part in re.sub(r"--.*", "", block.text).split(";")]
    queries += [words[2] for _, words, _ in shown_commands() if words[1:2] == ["sql"] and len(words) > 2]
    queries = [query.strip() for query in queries if query.strip() and not query.strip().startswith(SETTING_UP)]
    assert len(queries) >= 6
    for query in queries:
        warehouse.sql(f"explain {query}")


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_that_is_shown_imports_names_that_exist(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, name.name) for name in node.names)


@pytest.mark.parametrize("block", [block for block in blocks("python") if block.page == "docs/python.md"], ids=str)
@pytest.mark.usefixtures("warehouse")
def test_the_python_interface_runs_as_shown(block: Block, project: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.resolve("."))
    shown: dict[str, Any] = {}
    exec(block.text, shown)
    assert len(shown["drift"]) == 0


def test_make_knows_every_target_that_is_named() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {name for page in PAGES for name in re.findall(r"(?:`|\$ |&& )make (\w+)", page.read_text())} <= targets


def test_every_benchmark_that_is_named_exists_with_its_options() -> None:
    named = [found for page in PAGES for found in re.findall(r"python -m (bench\.\w+)([^`\n]*)", page.read_text())]
    assert named
    for module, arguments in named:
        text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
        options = re.findall(r"--([\w-]+)", arguments)
        assert [option for option in options if f'"--{option}"' not in text and f'"{option}"' not in text] == []


def test_what_is_installed_is_what_this_project_is_and_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    shown = "\n".join(page.read_text() for page in PAGES)
    extras = {extra for found in re.findall(r"driftlake(?:-\S+whl)?\[([\w,]+)\]", shown) for extra in found.split(",")}
    assert extras <= set(project["optional-dependencies"])
    assert set(re.findall(r"driftlake-([\d.]+)-py3", shown)) == {project["version"]}
    locked = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    pinned = re.findall(r"\b(duckdb[\w-]*)==([\d.]+\d)", shown)
    assert pinned
    assert [(name, version) for name, version in pinned if locked[name] != version] == []


def test_settings_columns_and_signals_that_are_named_exist(warehouse: Warehouse) -> None:
    columns = warehouse.sql(
        "select table_name || '.' || column_name as name from duckdb_columns() where database_name = 'lake'"
    )
    known = {*columns["name"].to_pylist(), *(signal.name for signal in every_signal()), *_settings()}
    starts = {name.partition(".")[0] for name in known}
    named = {
        name.replace(".<id>", "").replace(".*", "")
        for page in PAGES
        for name in re.findall(r"`([a-z_]+(?:\.(?:[a-z_]+|<id>|\*))+)`", page.read_text())
    }
    assert len(named & known) > 100
    unknown = {name for name in named - known if name.partition(".")[0] in starts}
    # settings of Spark, and what is below a mapping
    assert unknown == {"spark.executor.cores", "spark.executor.memory", "drift.thresholds.psi.warn"}


def _settings() -> set[str]:
    """Every key of driftlake.yaml, as the generated page has it."""
    page = (ROOT / "docs" / "configuration.md").read_text().partition("## The default alert rules")[0]
    return {
        key if section == "driftlake.yaml" else f"{section}.{key}"
        for section, text in re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        for key in re.findall(r"^\| `(\w+)`", text, re.MULTILINE)
    }


def test_the_example_of_the_readme_has_the_verdict_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python, configuration, lineage = (
        next(block.text for block in BLOCKS if block.page == "README.md" and start in block.text)
        for start in ("copy (select", "start: ", "model_id: churn")
    )
    monkeypatch.chdir(tmp_path)
    tables = {
        "predictions": "range::text as request_id, timestamptz '2026-01-01' + interval (range % 24) hour as served_at",
        "outcomes": "range::text as request_id, range % 2 as churned, date '2026-01-02' as known_on",
        "training": "range % 2 as churned",
    }
    features = "(range % 7) / 10 as score, range / 3 as tenure, 'pro' as plan"
    for name, columns in tables.items():
        duckdb.sql(f"copy (select {columns}, {features} from range(100)) to '{name}.parquet'")
    exec(python)
    (tmp_path / "driftlake.yaml").write_text(configuration)
    (tmp_path / "lineage").mkdir()
    (tmp_path / "lineage" / "churn-v1.yaml").write_text(lineage)
    assert [str(finding) for finding in examine(tmp_path / "driftlake.yaml") if not finding.is_well] == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    dead = [target for target in targets if "://" not in target and not _leads_somewhere(page, target)]
    assert not dead


def _leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    return file.exists() and (not anchor or anchor in _anchors(file))


def _anchors(file: Path) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {_slug(heading) for heading in headings} | set(re.findall(r'<a id="([^"]+)"', text))


def _slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= set(re.findall(r"\]\(([\w-]+\.md)\)", index))
