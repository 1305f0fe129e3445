"""A year with planted faults: tests whether every fault becomes one incident with the right cause first, and nothing else pages.

`python -m `bench.incidents` [--seed 1 2] [--rows 2000]`; prints a table per seed beside plain rules (the PSI of a
feature over 0.25), writes results/incidents.json. The evaluation is strict. Every incident that opens during a fault
belongs to it: the first one finds the fault, each further one is surplus. An incident that opens on any other day,
including the days after a fault, is a false alarm. The cause is right if it is first on the last day of the fault.
Alerts that joined an earlier incident count as misplaced. Not here: the year (`bench.planted_year`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import environment, save
from bench.planted_year import END, FAULTS, START, Year, build
from bench.stages import run
from driftlake.lake.warehouse import Warehouse

# the plain rules: window and reference of the PSI
PLAIN_RULES = ((1, "training"), (7, "preceding"))


@dataclass(frozen=True, slots=True)
class Alarm:
    """An incident or alarm with its days in order; `causes` has the first cause on each day, if there is one."""

    days: Sequence[date]
    causes: Sequence[str | None]

    @property
    def opened_on(self) -> date:
        """Its first day."""
        return self.days[0]

    def cause_on(self, day: date) -> str | None:
        """The first cause at the end of a day."""
        return [cause for of_day, cause in zip(self.days, self.causes, strict=True) if of_day <= day][-1]


def incidents(warehouse: Warehouse) -> list[Alarm]:
    """Every incident of the year that pages."""
    rows = warehouse.sql(
        "select list(dt order by dt) as days, list(cause order by dt) as causes"
        " from incidents where pages group by incident_id order by min(dt), incident_id"
    ).to_pylist()
    return [Alarm(**row) for row in rows]


def misplaced(warehouse: Warehouse, year: Year) -> list[tuple[str, str]]:
    """Alerts that opened during a fault in an incident that had opened before it: name of the fault, and rule."""
    rows = warehouse.sql(
        "select a.rule, a.opened_on, min(i.opened_on) as incident_on from alerts as a inner join incidents as i"
        " on a.incident_id = i.incident_id where i.pages group by all order by all"
    ).to_pylist()
    return [
        (name, row["rule"])
        for row in rows
        for name, (first_day, _) in year.spans.items()
        if year.has(name, row["opened_on"]) and row["incident_on"] < first_day
    ]


def plain_alarms(warehouse: Warehouse, window_days: int, reference: str) -> list[Alarm]:
    """Alarms of a plain rule: runs of days on which the PSI of a single feature is over 0.25."""
    rows = warehouse.sql(
        "select feature, list(dt order by dt) as days from ("
        " select feature, dt, dt - (row_number() over (partition by model_version, feature order by dt))::integer as run"
        " from feature_drift where statistic = 'psi' and window_days = ? and segment = 'all' and reference = ?"
        " and value > 0.25) group by feature, run order by min(dt), feature",
        [window_days, reference],
    ).to_pylist()
    return [Alarm(row["days"], [None] * len(row["days"])) for row in rows]


def judge(alarms: Sequence[Alarm], year: Year) -> dict[str, Any]:
    """Precision over alarms, recall over faults, right causes, and days until a fault is found."""
    of_fault = {name: [a for a in alarms if year.has(name, a.opened_on)] for name in year.spans}
    found = {name: of_this[0] for name, of_this in of_fault.items() if of_this}
    surplus = {name: [str(a.opened_on) for a in of_this[1:]] for name, of_this in of_fault.items() if of_this[1:]}
    false = [a for a in alarms if not any(year.has(name, a.opened_on) for name in year.spans)]
    delays = {name: (alarm.opened_on - year.spans[name][0]).days for name, alarm in found.items()}
    causes = {name: alarm.cause_on(year.spans[name][1]) for name, alarm in found.items()}
    return {
        "alarms": len(alarms),
        "precision": len(found) / len(alarms) if alarms else 1.0,
        "recall": len(found) / len(FAULTS),
        "right_cause": sum(causes.get(fault.name) == fault.cause for fault in FAULTS) / len(FAULTS),
        "median_delay_days": float(np.median(list(delays.values()))) if delays else None,
        "longest_delay_days": max(delays.values(), default=None),
        "false_alarm_days": len({day for alarm in false for day in alarm.days}),
        "delay_days": delays,
        "causes": causes,
        "surplus": surplus,
        "false_alarms": [(str(a.opened_on), len(a.days), a.causes[-1]) for a in false],
    }


_SHOWN = ("alarms", "precision", "recall", "right_cause", "median_delay_days", "longest_delay_days", "false_alarm_days")


def judge_year(folder: Path, seed: int, rows: int) -> dict[str, Any]:
    """Build the year of a seed in a folder, run it and evaluate the incidents."""
    year = Year.planned(seed)
    settings = build(folder, year, rows)
    run(settings, START, END)
    with Warehouse.open(settings, read_only=True) as warehouse:
        judged = {"incidents": judge(incidents(warehouse), year) | {"misplaced": misplaced(warehouse, year)}}
        for rule in PLAIN_RULES:
            judged["PSI > 0.25, {} days, {}".format(*rule)] = judge(plain_alarms(warehouse, *rule), year)
    return judged


def main() -> None:
    """Evaluate the year of every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000, help="Predictions of a weekday.")
    parser.add_argument("--seed", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6], help="Years to judge.")
    parser.add_argument("--keep", type=Path, help="Folder to build the years in, and to keep.")
    arguments = parser.parse_args()
    judged = {}
    with tempfile.TemporaryDirectory() as temporary:
        for seed in arguments.seed:
            judged[seed] = judge_year((arguments.keep or Path(temporary)) / str(seed), seed, arguments.rows)
            _print(seed, judged[seed])
    save("incidents", {"environment": environment(), "rows": arguments.rows, "seeds": judged})


def _print(seed: int, judged: dict[str, Any]) -> None:
    print(f"{f'seed {seed}':<32}" + "".join(f"{name.removesuffix('_days'):>17}" for name in _SHOWN))
    for name, result in judged.items():
        print(f"{name:<32}" + "".join(f"{result[each]!s:>17.6}" for each in _SHOWN))
    result = judged["incidents"]
    for fault in FAULTS:
        print(f"  {fault.name:<30} {result['delay_days'].get(fault.name)!s:>5} {result['causes'].get(fault.name)}")
    print(f"  surplus: {result['surplus']}, false: {result['false_alarms']}, misplaced: {result['misplaced']}")


if __name__ == "__main__":
    main()
