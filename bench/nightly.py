"""A cold night and a ten-month backfill of the flights, each compared with the same Dagster graph of assets that do nothing.

`python -m bench.nightly` after `make demo` (it needs examples/nycflights/data); prints a table, writes results/nightly.json.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date
from pathlib import Path

from bench.measure import PYTHON, Measurement, best_of, environment, run, save

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "examples" / "nycflights" / "data"
FIRST, LAST = date(2013, 3, 1), date(2013, 12, 31)
REPEATS = 3

CONFIG = """\
telemetry: {{path: {data}/telemetry}}
labels: {{path: {data}/labels}}
lineage: {{path: {data}/lineage}}
start: {first}
end: {last}
schedule: {{hour: 2, timezone: America/New_York}}
contracts: {{enabled: {contracts}}}
"""


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if not DATA.is_dir():
        raise SystemExit("examples/nycflights/data is not there: run `make demo` first")
    with tempfile.TemporaryDirectory() as folder:
        checked = _project(Path(folder) / "checked", contracts="true")
        unchecked = _project(Path(folder) / "unchecked", contracts="false")
        idle = _project(Path(folder) / "idle", contracts="false")
        backfills = {
            "backfill of 306 days": _backfill("backfill of 306 days", checked, LAST),
            "the same again, nothing changed": _backfill("the same again, nothing changed", checked, LAST),
            "the same without contracts": _backfill("the same without contracts", unchecked, LAST),
            "floor: idle assets, 306 days": _floor("floor: idle assets, 306 days", idle, FIRST, LAST),
        }
        # the night after 305 days
        nights = {
            "import of Great Expectations": _best(
                "import of Great Expectations", [PYTHON, "-c", "import great_expectations"]
            ),
            "cold night": _night("cold night", checked),
            "cold night without contracts": _night("cold night without contracts", unchecked),
            "floor: idle assets, one day": best_of(
                REPEATS, [_floor("floor: idle assets, one day", idle, LAST, LAST) for _ in range(REPEATS)]
            ),
        }
    ratios = {
        "cold night without contracts / floor": _ratio(
            nights, "cold night without contracts", "floor: idle assets, one day"
        ),
        "backfill / floor": _ratio(backfills, "backfill of 306 days", "floor: idle assets, 306 days"),
        "unchanged backfill / floor": _ratio(
            backfills, "the same again, nothing changed", "floor: idle assets, 306 days"
        ),
        "backfill without contracts / floor": _ratio(
            backfills, "the same without contracts", "floor: idle assets, 306 days"
        ),
    }
    for measurement in (*nights.values(), *backfills.values()):
        print(f"{measurement.name:<32} {measurement.seconds:7.1f} s {measurement.peak_mb:7.0f} MB")
    for name, ratio in ratios.items():
        print(f"{name:<38} {ratio:5.2f}")
    print(save("nightly", {"environment": environment(), "nights": nights, "backfills": backfills, "ratios": ratios}))


def _project(folder: Path, *, contracts: str) -> Path:
    folder.mkdir()
    config = folder / "driftlake.yaml"
    config.write_text(CONFIG.format(data=DATA, first=FIRST, last=LAST, contracts=contracts))
    return config


def _driftlake(config: Path, *arguments: str) -> list[str]:
    return [PYTHON, "-c", "from driftlake.cli import main; main()", *arguments, "--config", str(config)]


def _backfill(name: str, config: Path, last: date) -> Measurement:
    command = _driftlake(config, "backfill", "--from", FIRST.isoformat(), "--to", last.isoformat())
    return run(name, command, env=_home(config))[0]


def _night(name: str, config: Path) -> Measurement:
    return _best(name, _driftlake(config, "run", "--date", LAST.isoformat(), "--force"), _home(config))


def _floor(name: str, config: Path, first: date, last: date) -> Measurement:
    command = [PYTHON, "-m", "bench.floor", str(config), first.isoformat(), last.isoformat()]
    return run(name, command, env=_home(config))[0]


def _home(config: Path) -> dict[str, str]:
    return {"DAGSTER_HOME": str(config.parent / "dagster"), "PYTHONPATH": str(ROOT)}


def _best(name: str, command: list[str], env: dict[str, str] | None = None) -> Measurement:
    return best_of(REPEATS, [run(name, command, env=env)[0] for _ in range(REPEATS)])


def _ratio(measured: dict[str, Measurement], above: str, below: str) -> float:
    return measured[above].seconds / measured[below].seconds


if __name__ == "__main__":
    main()
