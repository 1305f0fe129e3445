"""How well personal data is found: precision and recall per kind on a generated corpus, and the cost of looking.

    python -m bench.pii [ROWS]

Every value stands for a column of its own, so the figures are those of single values; the corpus is the same every time.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftlake.inputs import read_partitions
from driftlake.personal_data import find, scan_files

PER_KIND = 500


def _digits(r: random.Random, count: int) -> str:
    return "".join(r.choice("0123456789") for _ in range(count))


def _email(r: random.Random) -> str:
    name = r.choice(["ada", "J.Smith", "o'neil", "m_weber", "li.wei+news", "user" + _digits(r, 4)])
    host = r.choice(["example.org", "mail.example.co.uk", "uni-bonn.example", "EXAMPLE.COM", "münchen.example"])
    return r.choice(["{}", "<{}>", "mailto:{}", "reach me: {}, thanks"]).format(f"{name}@{host}")


def _phone(r: random.Random) -> str:
    us = f"{r.randint(2, 9)}{_digits(r, 2)}", f"{r.randint(2, 9)}{_digits(r, 2)}", _digits(r, 4)
    return r.choice(
        [
            "({}) {}-{}".format(*us),
            "{}-{}-{}".format(*us),
            "+1{}{}{}".format(*us),
            f"+44 20 {_digits(r, 4)} {_digits(r, 4)}",
            f"+49 (0)30 {_digits(r, 7)}",
            f"0033 6 {_digits(r, 2)} {_digits(r, 2)} {_digits(r, 2)} {_digits(r, 2)}",
            f"030 {_digits(r, 8)}",
        ]
    )


def _card(r: random.Random) -> str:
    prefix, length = r.choice([("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("4", 19)])
    body = prefix + _digits(r, length - 1 - len(prefix))
    total = sum(sum(divmod(2 * int(d), 10)) for d in body[::-2]) + sum(int(d) for d in body[-2::-2])
    number = body + str(-total % 10)
    separator = r.choice(["", " ", "-"])
    return separator.join(number[i : i + 4] for i in range(0, length, 4))


def _address(r: random.Random) -> str:
    v4 = ".".join(str(r.randint(1, 254)) for _ in range(4))
    v6 = "2001:db8:" + ":".join(f"{r.getrandbits(16):x}" for _ in range(6))
    return r.choice([v4, v4 + ":443", f"10.0.{r.randint(0, 9)}.{r.randint(1, 9)}", v6, f"fe80::{v6[-9:].strip(':')}:1"])


def _iban(r: random.Random) -> str:
    country, length = r.choice([("DE", 22), ("NL", 18), ("FR", 27), ("ES", 24), ("NO", 15)])
    body = (r.choice(["ABNA", "INGB"]) + _digits(r, 10)) if country == "NL" else _digits(r, length - 4)
    remainder = int("".join(str(int(c, 36)) for c in f"{body}{country}00")) % 97
    compact = f"{country}{98 - remainder:02d}{body}"
    spaced = " ".join(compact[i : i + 4] for i in range(0, length, 4))
    return r.choice([compact, spaced, compact.lower()])


def _national_id(r: random.Random) -> str:
    dni = _digits(r, 8)
    return r.choice(
        [
            f"{r.randint(1, 665):03d}-{r.randint(1, 99):02d}-{r.randint(1, 9999):04d}",
            f"{dni}{'TRWAGMYFPDXBNJZSQVHLCKE'[int(dni) % 23]}",
            f"AB {_digits(r, 2)} {_digits(r, 2)} {_digits(r, 2)} C",
            f"RSSMRA{_digits(r, 2)}A0{r.randint(1, 9)}H{_digits(r, 3)}Z",
            _digits(r, 11),
        ]
    )


TRUE: dict[str, Callable[[random.Random], str]] = {
    "email": _email,
    "phone number": _phone,
    "payment card": _card,
    "IP address": _address,
    "IBAN": _iban,
    "national id": _national_id,
}
LOOK_ALIKES: dict[str, Callable[[random.Random], str]] = {
    "16-digit order number": lambda r: _digits(r, 16),
    "grouped order number": lambda r: "-".join(_digits(r, 4) for _ in range(4)),
    "epoch milliseconds": lambda r: str(1_700_000_000_000 + r.getrandbits(36)),
    "ISO timestamp": lambda r: f"2024-0{r.randint(1, 9)}-1{r.randint(0, 9)}T1{r.randint(0, 9)}:30:{r.randint(10, 59)}Z",
    "UUID": lambda r: str(uuid.UUID(int=r.getrandbits(128))),
    "version": lambda r: (
        f"{r.randint(0, 9)}.{r.randint(0, 40)}.{r.randint(0, 20)}.{r.choice([r.randint(0, 60), r.randint(0, 400)])}"
    ),
    "hex hash": lambda r: f"{r.getrandbits(256):064x}",
    "product code": lambda r: f"{r.choice('ABCDEFGH')}{r.choice('XYZ')}{_digits(r, 2)}-{_digits(r, 4)}",
    "code of 8 digits and a letter": lambda r: _digits(r, 8) + r.choice("ABCDEFGHJKLMNPQRSTVWXYZ"),
    "decimal as text": lambda r: f"{r.uniform(-1e6, 1e6):.6f}",
    "phone-like id": lambda r: f"{r.randint(2, 9)}{_digits(r, 2)}-{_digits(r, 7)}",
    "MAC address": lambda r: ":".join(f"{r.getrandbits(8):02x}" for _ in range(6)),
}


def corpus() -> list[tuple[str | None, str, str]]:
    """Kind of personal data (None: none), what it is, and the value."""
    r = random.Random(20240301)
    true = [(kind, kind, make(r)) for kind, make in TRUE.items() for _ in range(PER_KIND)]
    return true + [(None, what, make(r)) for what, make in LOOK_ALIKES.items() for _ in range(PER_KIND)]


def quality() -> None:
    hits, wrong, blamed = Counter[str](), Counter[str](), Counter[str]()
    blocked = Counter[str]()
    for kind, what, value in corpus():
        kinds = dict(finding.kinds) if (finding := find([value])) else {}
        blocked[what] += bool(kinds)
        for found in kinds:
            (hits if found == kind else wrong)[found] += 1
        if kind is None:
            blamed[what] += bool(kinds)
    print("| Kind | Precision | Recall | Blocked, as whatever kind |\n|---|---|---|---|")
    for kind in TRUE:
        precision = hits[kind] / max(hits[kind] + wrong[kind], 1)
        print(f"| {kind} | {precision:.3f} | {hits[kind] / PER_KIND:.3f} | {blocked[kind] / PER_KIND:.3f} |")
    print("\n| Look-alike | Single values blocked |\n|---|---|")
    for what in LOOK_ALIKES:
        print(f"| {what} | {blamed[what] / PER_KIND:.3f} |")


def cost(rows: int) -> None:
    """Looking at the text columns of a day, against reading them."""
    generator = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "dt=2024-03-01"
        folder.mkdir()
        columns = {
            "channel": generator.choice(["web", "app", "branch"], rows),
            "country": np.array([f"c{i}" for i in range(200)])[generator.integers(0, 200, rows)],
            "merchant": np.array([f"m{i}" for i in range(20_000)])[generator.integers(0, 20_000, rows)],
        }
        path = folder / "part-0.parquet"
        pq.write_table(pa.table(columns), path, row_group_size=250_000)
        (partition,) = read_partitions(root, [date(2024, 3, 1)], (), {})
        plain, scanned = [], []
        for _ in range(5):
            start = time.perf_counter()
            for name in columns:
                pq.read_table(path, columns=[name], use_threads=False)
            plain.append(time.perf_counter() - start)
            start = time.perf_counter()
            scan_files(partition.files, columns)
            scanned.append(time.perf_counter() - start)
    print(f"\n{rows:,} rows: read {min(plain):.3f} s, looked at {min(scanned):.3f} s: {min(scanned) / min(plain):.2f}")


if __name__ == "__main__":
    quality()
    cost(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
