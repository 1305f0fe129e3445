"""How well personal data is found: precision and recall per kind on a generated corpus, and the cost of detection.

    python -m bench.pii [ROWS]

The corpus is the same every time. In the part on values, every value is a separate column. In the part on columns, a
column has few or many distinct values of one kind or one look-alike, some with every tenth value mistyped, or a single
one among plain words.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftlake.privacy.personal_data import find, scan_files

VALUES_PER_KIND = 500
COLUMNS_PER_SHAPE = 40
COLUMN_SIZES = (3, 30, 300)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Maker = Callable[[random.Random], str]


def _digits(r: random.Random, count: int) -> str:
    return "".join(r.choice("0123456789") for _ in range(count))


def _letters(r: random.Random, count: int) -> str:
    return "".join(r.choice(LETTERS) for _ in range(count))


def _email(r: random.Random) -> str:
    name = r.choice(["ada", "J.Smith", "o'neil", "m_weber", "li.wei+news", "user"]) + _digits(r, 4)
    host = r.choice(["example.org", "mail.example.co.uk", "uni-bonn.example", "EXAMPLE.COM", "münchen.example"])
    return r.choice(["{}", "<{}>", "mailto:{}", "reach me: {}, thanks"]).format(f"{name}@{host}")


def _phone(r: random.Random) -> str:
    """Numbers in international form, and of North America with separators."""
    area, exchange, line = r.choice(["212", "415", "713", "305"]), f"{r.randint(2, 9)}{_digits(r, 2)}", _digits(r, 4)
    exchange = "234" if exchange.endswith("11") else exchange
    return r.choice(
        [
            f"({area}) {exchange}-{line}",
            f"{area}-{exchange}-{line}",
            f"+1{area}{exchange}{line}",
            f"+44 20 7{_digits(r, 3)} {_digits(r, 4)}",
            f"+49 (0)30 {r.randint(2, 9)}{_digits(r, 6)}",
            f"0033 6 {_digits(r, 2)} {_digits(r, 2)} {_digits(r, 2)} {_digits(r, 2)}",
            f"+34 6{_digits(r, 8)}",
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
    private = f"10.0.{r.randint(0, 9)}.{r.randint(1, 99)}"
    return r.choice([v4, v4, v4 + ":443", private, v6, f"fe80::{r.getrandbits(16):x}:{r.getrandbits(16):x}:1"])


def _iban(r: random.Random) -> str:
    country, bank, length = r.choice(
        [("DE", "", 22), ("NL", "ABNA", 18), ("GB", "WEST", 22), ("PL", "", 28), ("AT", "", 20)]
    )
    body = bank + _digits(r, length - 4 - len(bank))
    remainder = int("".join(str(int(c, 36)) for c in f"{body}{country}00")) % 97
    compact = f"{country}{98 - remainder:02d}{body}"
    spaced = " ".join(compact[i : i + 4] for i in range(0, length, 4))
    return r.choice([compact, spaced, compact.lower()])


def _national_id(r: random.Random) -> str:
    return r.choice([_ssn, _dni, _nino, _nir, _cpf, _pesel])(r)


def _ssn(r: random.Random) -> str:
    return f"{r.randint(1, 665):03d}-{r.randint(1, 99):02d}-{r.randint(1, 9999):04d}"


def _dni(r: random.Random) -> str:
    number = _digits(r, 8)
    return number + "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


def _nino(r: random.Random) -> str:
    spaced = f"{r.choice(['AB', 'CE', 'JM', 'PX'])} {_digits(r, 2)} {_digits(r, 2)} {_digits(r, 2)} {r.choice('ABCD')}"
    return r.choice([spaced, spaced.replace(" ", "")])


def _nir(r: random.Random) -> str:
    body = f"{r.randint(1, 2)}{_digits(r, 2)}{r.randint(1, 12):02d}{r.randint(1, 95):02d}{r.randint(1, 989):03d}{r.randint(1, 999):03d}"
    return f"{body}{97 - int(body) % 97:02d}"


def _cpf(r: random.Random) -> str:
    number = _digits(r, 9)
    for length in (10, 11):
        total = sum(weight * int(digit) for weight, digit in zip(range(length, 1, -1), number, strict=True))
        number += str(0 if total % 11 < 2 else 11 - total % 11)
    return r.choice([number, f"{number[:3]}.{number[3:6]}.{number[6:9]}-{number[9:]}"])


def _pesel(r: random.Random) -> str:
    body = f"{_digits(r, 2)}{r.randint(1, 12):02d}{r.randint(1, 28):02d}{_digits(r, 4)}"
    total = sum(weight * int(digit) for weight, digit in zip((1, 3, 7, 9, 1, 3, 7, 9, 1, 3), body, strict=True))
    return f"{body}{-total % 10}"


TRUE: dict[str, Maker] = {
    "email": _email,
    "phone number": _phone,
    "payment card": _card,
    "IP address": _address,
    "IBAN": _iban,
    "national id": _national_id,
}
LOOK_ALIKES: dict[str, Maker] = {
    "16-digit order number": lambda r: _digits(r, 16),
    "grouped order number": lambda r: "-".join(_digits(r, 4) for _ in range(4)),
    "11-digit number": lambda r: _digits(r, 11),
    "epoch milliseconds": lambda r: str(1_700_000_000_000 + r.getrandbits(36)),
    "ISO timestamp": lambda r: f"2024-0{r.randint(1, 9)}-1{r.randint(0, 9)}T1{r.randint(0, 9)}:30:{r.randint(10, 59)}Z",
    "UUID": lambda r: str(uuid.UUID(int=r.getrandbits(128))),
    "version": lambda r: (
        f"{r.randint(0, 20)}.{r.randint(0, 40)}.{r.randint(0, 20)}.{r.randint(0, r.choice([9, 60, 400]))}"
    ),
    "browser version": lambda r: f"{r.randint(80, 130)}.0.{r.randint(3000, 6800)}.{r.randint(0, 220)}",
    "hex hash": lambda r: f"{r.getrandbits(256):064x}",
    "product code": lambda r: f"{r.choice('ABCDEFGH')}{r.choice('XYZ')}{_digits(r, 2)}-{_digits(r, 4)}",
    "code of 8 digits and a letter": lambda r: _digits(r, 8) + _letters(r, 1),
    "code of 2 letters, 6 digits and a letter": lambda r: _letters(r, 2) + _digits(r, 6) + _letters(r, 1),
    "code of 2 letters and 20 digits": lambda r: r.choice(["DE", "FR", "XX", "SK"]) + _digits(r, 20),
    "decimal as text": lambda r: f"{r.uniform(-1e6, 1e6):+.6f}",
    "signed number": lambda r: f"{r.randint(-(10**11), 10**11):+d}",
    "phone-like id": lambda r: f"{r.randint(2, 9)}{_digits(r, 2)}-{_digits(r, 7)}",
    "id of 3, 3 and 4 digits": lambda r: f"{_digits(r, 3)}-{_digits(r, 3)}-{_digits(r, 4)}",
    "MAC address": lambda r: ":".join(f"{r.getrandbits(8):02x}" for _ in range(6)),
    "picture of double size": lambda r: f"icon{_digits(r, 3)}@2x.png",
}
WORDS = ["north", "south", "web", "app 2", "branch 17", "since 2019", "A-12", "n/a", "3 to 5", "v2.1.0"]


def _mistyped(r: random.Random, value: str) -> str:
    place = r.choice([place for place, c in enumerate(value) if c.isdigit()])
    return value[:place] + str((int(value[place]) + r.randint(1, 9)) % 10) + value[place + 1 :]


def _columns(r: random.Random, make: Maker, *, is_true: bool) -> Iterator[list[str]]:
    """Columns of one kind; national ids are of one country each."""
    for _ in range(COLUMNS_PER_SHAPE):
        maker = r.choice([_ssn, _dni, _nino, _nir, _cpf, _pesel]) if make is _national_id else make
        yield [*WORDS, maker(r)]
        for size in COLUMN_SIZES:
            values = sorted({maker(r) for _ in range(size)})
            yield values
            if is_true and size > 3:
                yield [_mistyped(r, value) if r.random() < 0.1 else value for value in values]


def corpus(*, of_columns: bool) -> Iterator[tuple[str | None, str, list[str]]]:
    """Kind of personal data (None: none), what it is, and the distinct values of a column."""
    r = random.Random(20240301)
    for name, make in (*TRUE.items(), *LOOK_ALIKES.items()):
        kind = name if name in TRUE else None
        if of_columns:
            for values in _columns(r, make, is_true=bool(kind)):
                yield kind, name, values
        else:
            for _ in range(VALUES_PER_KIND):
                yield kind, name, [make(r)]


def quality(*, of_columns: bool) -> None:
    hits, wrong, blocked, total = (Counter[str]() for _ in range(4))
    for kind, what, values in corpus(of_columns=of_columns):
        kinds = finding.kinds if (finding := find(values)) else {}
        total[what] += 1
        blocked[what] += bool(kinds)
        for found in kinds:
            (hits if found == kind else wrong)[found] += 1
    title = "columns" if of_columns else "single values"
    print(f"\n| Kind, {title} | Precision | Recall | Blocked, as whatever kind |\n|---|---|---|---|")
    for kind in TRUE:
        precision = hits[kind] / max(hits[kind] + wrong[kind], 1)
        print(f"| {kind} | {precision:.3f} | {hits[kind] / total[kind]:.3f} | {blocked[kind] / total[kind]:.3f} |")
    print(f"\n| Look-alike, {title} | Blocked |\n|---|---|")
    for what in LOOK_ALIKES:
        print(f"| {what} | {blocked[what] / total[what]:.3f} |")


def cost(rows: int) -> None:
    """Cost of checking the text columns of a day, relative to one plain scan of them."""
    generator = np.random.default_rng(1)
    columns = {
        "channel": generator.choice(["web", "app", "branch"], rows),
        "country": np.array([f"c{i}" for i in range(200)])[generator.integers(0, 200, rows)],
        "merchant": np.array([f"m{i}" for i in range(20_000)])[generator.integers(0, 20_000, rows)],
        "order": np.array([f"{i:016d}" for i in generator.integers(0, 10**16, 200_000)])[
            generator.integers(0, 200_000, rows)
        ],
    }
    with tempfile.TemporaryDirectory() as root:
        path = str(Path(root) / "part-0.parquet")
        pq.write_table(pa.table(columns), path, row_group_size=250_000)
        print("\n| Columns | Rows | Plain scan, s | Looked at, s | Ratio |\n|---|---|---|---|---|")
        for names in (["channel", "country", "merchant"], ["order"]):
            plain, looked = (
                _fastest(lambda names=names: _scan(path, names)),
                _fastest(lambda names=names: scan_files([path], names)),
            )  # type: ignore[misc]  # a default is no argument to mypy
            print(f"| {', '.join(names)} | {rows:,} | {plain:.3f} | {looked:.3f} | {looked / plain:.2f} |")


def _scan(path: str, names: list[str]) -> None:
    for name in names:
        pq.read_table(path, columns=[name], use_threads=False)


def _fastest(run: Callable[[], object]) -> float:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    quality(of_columns=True)
    quality(of_columns=False)
    cost(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
