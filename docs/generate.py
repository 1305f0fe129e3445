"""Writes the generated pages and the generated parts of the others.

`python docs/generate.py` rewrites them; a test fails while they differ from what is here.
"""

from __future__ import annotations

import ast
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from driftlake.config import Settings, Thresholds, default_alerts, every_signal
from driftlake.delivery.metrics import DAY_METRICS, RUN_METRICS
from driftlake.lake import schema  # works from anywhere
from driftlake.maths.drift_statistics import STATISTICS
from driftlake.nightly.stages import EVERY_DAY_BEFORE, STAGES, Stage
from driftlake.vocabulary.runbooks import RUNBOOKS

# what makes a stage read a source that it otherwise does not
_OPTIONS = {
    "telemetry": {"path": "telemetry", "segments": ["country"], "shap": {"path": "shap"}},
    "slos": [{"name": "up", "sli": "availability", "objective": 0.999}],
}
_GENERATED = "<!-- written by docs/generate.py -->"


def pages() -> dict[str, Callable[[], str]]:
    """Every generated page: its file name, and what writes its text."""
    return {
        "tables.md": tables_page,
        "configuration.md": configuration_page,
        "commands.md": commands_page,
        "statistics.md": statistics_page,
        "bad-input.md": bad_input_page,
        "running.md": running_page,
        "runbooks.md": runbooks_page,
        "connect/prometheus.md": prometheus_page,
    }


def tables_page() -> str:
    """Every table and view of the warehouse."""
    lines = [
        "# Tables",
        "",
        _GENERATED,
        "",
        "What is in the warehouse. The same texts are comments in the catalog: `select * from duckdb_columns()`.",
        "",
        "## Views",
        "",
        *(f"- `{view.name}`: {view.purpose}" for view in schema.views()),
    ]
    for table in schema.tables():
        lines += ["", f"## {table.name}", "", table.purpose, "", f"One row per {table.grain}.", ""]
        lines += ["| column | type | null | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{column.name}` | {column.type} | {'' if column.is_required else 'yes'} | {_cell(column.meaning)} |"
            for column in table.columns
        ]
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    """Every key of driftlake.yaml."""
    lines = [
        "# Configuration",
        "",
        _GENERATED,
        "",
        "`driftlake init` writes a commented `driftlake.yaml` and a JSON Schema with which editors complete and check it.",
        "Paths are relative to the file, or `s3://` URIs. Unknown keys and bad values are refused, with key and line.",
    ]
    described: set[type[BaseModel]] = set()
    for name, model in _sections(Settings, "driftlake.yaml"):
        if model in described:
            continue
        described.add(model)
        lines += ["", f"## {name}", "", " ".join((model.__doc__ or "").split()), ""]
        lines += ["| key | default | meaning |", "|---|---|---|"]
        lines += [
            f"| `{key}` | {_default(field)} | {_cell(field.description or _what(field))} |"
            for key, field in model.model_fields.items()
        ]
    lines += ["", "## The default alert rules", "", "| rule | signal | days | warn | critical | rows | days in a row |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [
        f"| `{rule.name}` | `{rule.signal}` | {rule.window_days} | {rule.warn:g} | {rule.critical:g} |"
        f" {rule.minimum_sample} | {rule.consecutive_days} |"
        for rule in default_alerts()
    ]
    lines += [
        "",
        "## Signals",
        "",
        "What a rule can watch, from the view `sli_history`: larger is worse. [statistics.md](statistics.md) says what the statistics of drift",
        "are; one of your own (`drift.extensions`) is a signal of `feature_drift`, and of `prediction_drift` if it is defined for numbers.",
        "A signal of events has values only on days on which something happened.",
        "",
        "| signal | what it measures | unit | windows | events |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{signal.name}` | {_cell(signal.measure)} | {signal.unit} |"
        f" {f'`{signal.source.windows}.windows_days`' if signal.source.windows else 'the day'} |"
        f" {'yes' if signal.source.is_event else ''} |"
        for signal in every_signal()
    ]
    return "\n".join(lines) + "\n"


def statistics_page() -> str:
    """The page as it is, with the table of the registered statistics."""
    lines = [
        "| statistic | of | warn | drift | formula | range | misses | source |",
        "|---" * 8 + "|",
    ]
    lines += [
        f"| `{statistic.name}` | {' and '.join(statistic.kinds)} | {_threshold(statistic.warn)} | {_threshold(statistic.drift)} |"
        f" {_cell(statistic.formula)} | {statistic.value_range} | {statistic.misses} | {statistic.source} |"
        for statistic in STATISTICS.values()
    ]
    return _filled("statistics.md", "statistics", lines)


def bad_input_page() -> str:
    """The page as it is, with the table of the broken inputs that the tests make."""
    sys.path.insert(0, str(FOLDER.parent / "tests"))
    from corpus import DAYS, MISTAKES

    lines = ["| case | what is broken | what happens |", "|---|---|---|"]
    lines += [f"| `{case.name}` | {_cell(case.broken)} | {_cell(case.expected)} |" for case in (*DAYS, *MISTAKES)]
    return _filled("bad-input.md", "corpus", lines)


def running_page() -> str:
    """The page as it is, with the table of the stages."""
    lines = ["| stage | what its tables hold | tables | reads | settings |", "|---" * 5 + "|"]
    lines += [
        f"| {stage.name} | {stage.purpose} | {_listed(stage.tables)} | {_reads(stage)} |"
        f" {_listed(stage.settings(_plain_settings()))} |"
        for stage in STAGES
    ]
    return _filled("running.md", "stages", lines)


def runbooks_page() -> str:
    """The page as it is, with the runbooks."""
    lines: list[str] = []
    for runbook in RUNBOOKS:
        lines += ["", f'<a id="{runbook.name}"></a>', f"## `{runbook.name}`: {runbook.title}", "", runbook.meaning, ""]
        lines += [f"{number}. {step}" for number, step in enumerate(runbook.steps, 1)]
    return _filled("runbooks.md", "runbooks", lines[1:])


def prometheus_page() -> str:
    """The page as it is, with the table of the metrics."""
    lines = ["| metric | labels | meaning | past days |", "|---" * 4 + "|"]
    lines += [f"| `{metric.full_name}` | | {metric.meaning} | |" for metric in RUN_METRICS]
    lines += [
        f"| `{metric.full_name}` | {_listed(metric.labels)} | {_cell(metric.meaning)} | yes |" for metric in DAY_METRICS
    ]
    return _filled("connect/prometheus.md", "metrics", lines)


def notebook(path: Path = FOLDER / "connect" / "python.ipynb") -> str:
    """The notebook with what its cells show, except those that read a project of the reader."""
    content: dict[str, Any] = json.loads(path.read_text())
    names: dict[str, Any] = {}
    for cell in content["cells"]:
        if cell["cell_type"] == "code" and not cell["metadata"].get("tags"):
            cell["outputs"] = shown("".join(cell["source"]), names)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def shown(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs of a cell that is run with `names`: what it prints, and the value of its last line."""
    *statements, last = ast.parse(source).body
    value = None
    with redirect_stdout(StringIO()) as printed:
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(statements, []), "cell", "exec"), names)
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        else:
            exec(compile(source, "cell", "exec"), names)
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": text})
    if value is not None:
        html = {"text/html": value._repr_html_()} if hasattr(value, "_repr_html_") else {}
        data = {**html, "text/plain": repr(value)}
        outputs.append({"data": data, "execution_count": None, "metadata": {}, "output_type": "execute_result"})
    return outputs


def _filled(file_name: str, part: str, lines: list[str]) -> str:
    """The page as it is, with the lines between the two comments that mark the generated part."""
    begin, end = f"<!-- {part}, written by docs/generate.py -->", f"<!-- end of {part} -->"
    before, found, rest = (FOLDER / file_name).read_text().partition(begin)
    assert found, f"{file_name} has no part {begin}"
    return before + "\n".join([begin, "", *lines, "", end]) + rest.partition(end)[2]


def _reads(stage: Stage) -> str:
    """The sources of a stage, those of one reach together; some are read only where something is configured."""
    usual = stage.reads(_plain_settings())
    together: defaultdict[str, list[str]] = defaultdict(list)
    for source, reach_days in (stage.reads(_plain_settings(**_OPTIONS)) | usual).items():
        reach = {0: "of the day", EVERY_DAY_BEFORE: "of the day and every day before"}.get(
            reach_days, f"of the day and {reach_days} before"
        )
        together[reach + ("" if source in usual else ", if configured")].append(source)
    return "; ".join(f"{_listed(sources)} {reach}" for reach, sources in together.items())


def _plain_settings(**sections: Any) -> Settings:
    """The default settings, for a project that has labels."""
    places = {name: {"path": name} for name in ("telemetry", "labels", "lineage")}
    return Settings.model_validate({**places, "start": "2024-01-01", **sections})


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def commands_page() -> str:
    """The help of every command."""
    import typer
    from typer.testing import CliRunner

    from driftlake.cli import app

    runner = CliRunner(env={"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"})
    group: Any = typer.main.get_command(app)
    commands = [[], *([name] for name in group.commands)]
    commands += [
        [command, name] for command in ("lineage", "alerts", "import") for name in group.commands[command].commands
    ]
    lines = ["# Commands", "", _GENERATED]
    for command in commands:
        result = runner.invoke(app, [*command, "--help"], prog_name="driftlake")
        text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        lines += ["", f"## driftlake {' '.join(command)}".rstrip(), "", "```text", text, "```"]
    return "\n".join(lines) + "\n"


def _threshold(value: float | None) -> str:
    return "noise" if value is None else f"{value:g}"


def _sections(model: type[BaseModel], name: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield name, model
    for key, field in model.model_fields.items():
        prefix = "" if name == "driftlake.yaml" else f"{name}."
        for nested in _models_in(field.annotation):
            yield from _sections(nested, prefix + key)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return list(dict.fromkeys(model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)))


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    if field.default is PydanticUndefined:
        return "" if field.default_factory is None else "computed" if field.default_factory is not dict else "none"
    if isinstance(field.default, Thresholds):
        return f"`{{warn: {field.default.warn:g}, drift: {field.default.drift:g}}}`"
    if isinstance(field.default, BaseModel) or (
        isinstance(field.default, tuple) and field.default and isinstance(field.default[0], BaseModel)
    ):
        return "see below"
    return "none" if field.default in (None, ()) else f"`{_plain(field.default)}`"


def _plain(value: Any) -> str:
    return (
        str(list(value)) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _what(field: Any) -> str:
    models = _models_in(field.annotation)
    return (models[0].__doc__ or "").split("\n")[0] if models else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for file_name, page in pages().items():
        (FOLDER / file_name).write_text(page())
        print(FOLDER / file_name)
    # after the pages: running its cells takes some seconds
    (FOLDER / "connect" / "python.ipynb").write_text(notebook())
