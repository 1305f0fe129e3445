"""Personal data in text: emails, phone numbers, payment cards, IP addresses, IBANs, national ids.

Only distinct values are looked at: one regular expression finds candidates, what has a check digit or a range is then
validated. Not here: which columns are read, and what a finding means for them (profiling.py, registration.py).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from driftlake.inputs import InputFile, open_parquet


@dataclass(frozen=True, slots=True)
class Finding:
    """Distinct values of a column that hold personal data, by kind; never the values themselves."""

    checked_count: int
    kinds: Mapping[str, int]

    @property
    def unexpected_count(self) -> int:
        """Hits over all kinds."""
        return sum(self.kinds.values())

    def __str__(self) -> str:
        return ", ".join(f"{kind}: {count:,}" for kind, count in self.kinds.items())


def find(values: Iterable[str]) -> Finding | None:
    """What personal data the distinct `values` hold; None if they hold none."""
    return _find_in(pa.array(values, pa.string()))


def scan_files(files: Sequence[InputFile], paths: Iterable[str]) -> dict[str, Finding]:
    """Columns among `paths` (struct.field for a field) of some files that hold personal data."""
    distinct: dict[str, list[pa.Array]] = {path: [] for path in paths}
    for file in files:
        present = [path for path in distinct if _is_text(file.columns, path)]
        if not present:
            continue
        with open_parquet(file.path, dictionary_columns=present) as parquet:
            for index in range(len(file.row_group_sizes)):
                for path in present:
                    table = parquet.read_row_group(index, columns=[path], use_threads=False)
                    distinct[path] += _dictionaries(table, path)
    found = {path: _find_in(pc.unique(pa.chunked_array(parts, pa.string()))) for path, parts in distinct.items()}
    return {path: finding for path, finding in found.items() if finding}


def mask(text: str) -> str:
    """`text` with everything that looks like personal data replaced by its kind."""
    for kind, (pattern, is_valid) in _KINDS.items():
        text = re.sub(pattern, partial(_masked, kind, is_valid), text, flags=re.ASCII)
    return text


def _masked(kind: str, is_valid: Callable[[str], bool], match: re.Match[str]) -> str:
    return f"({kind})" if is_valid(match[0]) else match[0]


def _is_text(columns: Mapping[str, pa.DataType], path: str) -> bool:
    kind = columns.get(path)
    if kind is None:
        struct, _, field = path.partition(".")
        parent = columns.get(struct)
        if parent is None or not pa.types.is_struct(parent) or parent.get_field_index(field) < 0:
            return False
        kind = parent.field(field).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _dictionaries(table: pa.Table, path: str) -> list[pa.Array]:
    column = (
        table.column(path) if path in table.column_names else pc.struct_field(table.column(0), path.split(".", 1)[1])
    )
    chunks = (c if pa.types.is_dictionary(c.type) else c.dictionary_encode() for c in column.chunks)
    return [chunk.dictionary.cast(pa.string()) for chunk in chunks]


def _find_in(values: pa.Array) -> Finding | None:
    kinds = {kind: count for kind in _KINDS if (count := _count(kind, values))}
    return Finding(len(values), kinds) if kinds else None


def _count(kind: str, values: pa.Array) -> int:
    pattern, is_valid = _KINDS[kind]
    candidates = values.filter(pc.match_substring_regex(values, pattern)).to_pylist()
    hits = [value for value in candidates if any(is_valid(m[0]) for m in re.finditer(pattern, value, re.ASCII))]
    if kind == "payment card" and all(value.strip().isdigit() for value in hits):
        # of random numbers one in fifty has an issuer's prefix and its check digit
        return len(hits) if 2 * len(hits) >= len(candidates) else 0
    return len(hits)


def _is_phone(text: str) -> bool:
    return 8 <= sum(c.isdigit() for c in text) <= 15


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return bool(_ISSUERS.fullmatch(digits)) and _luhn(digits)


def _luhn(digits: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1)."""
    doubled = (sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _is_ip(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 6:
        return sum(bool(group) for group in text.split(":")) >= 3
    # 1.2.3.4 is as likely a version, whose parts seldom have three digits
    return max(address.packed) > 99


def _is_iban(text: str) -> bool:
    """ISO 13616: the country's length, and the remainder by 97."""
    compact = text.replace(" ", "").upper()
    length = _IBAN_LENGTHS.get(compact[:2])
    compact = compact[:length]
    moved = compact[4:] + compact[:4]
    return len(compact) == length and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def _is_national_id(text: str) -> bool:
    if re.fullmatch(r"\d{8}[A-Z]", text):
        return "TRWAGMYFPDXBNJZSQVHLCKE"[int(text[:8]) % 23] == text[8]
    if re.fullmatch(r"\d{3}-\d{2}-\d{4}", text):
        area, group, serial = text.split("-")
        return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"
    return True


_ISSUERS = re.compile(
    r"4\d{12}(\d{3}(\d{3})?)?|(5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|6(011|5\d\d|4[4-9]\d)\d{12}|3(0[0-5]|[68]\d)\d{11}|35(2[89]|[3-8]\d)\d{12}"
)
_IBAN_LENGTHS = {
    code: length
    for length, codes in {
        15: "NO", 16: "BE", 18: "DK FI NL FO GL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV CR",
        22: "BG BH DE GB GE IE ME RS", 23: "AE GI IL", 24: "AD CZ ES MD PK RO SA SE SK TN", 25: "PT",
        26: "IS TR", 27: "FR GR IT MC SM", 28: "AL AZ CY DO HU LB PL", 29: "BR QA UA", 30: "JO KW MU", 31: "MT",
    }.items()
    for code in codes.split()
}  # fmt: skip
# candidates by RE2 and by Python alike, and what makes one a hit
_KINDS: Mapping[str, tuple[str, Callable[[str], bool]]] = {
    "email": (r"(?i)[^\s@<>,;:()]+@(?:[^\s@<>,;:()./]+\.)+[a-z]{2,}\b", lambda _: True),
    "IBAN": (r"(?i)\b[a-z]{2}[0-9]{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?\b", _is_iban),
    "payment card": (r"\b[0-9](?:[ -]?[0-9]){12,18}\b", _is_card),
    "national id": (
        (
            r"\b(?:[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{8}[A-Z]"
            r"|[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"
            r"|[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z])\b"
        ),
        _is_national_id,
    ),
    "IP address": (
        r"\b(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f]{1,4})\b",
        _is_ip,
    ),
    "phone number": (
        (
            r"(?:\+[1-9]|\b00[1-9][0-9]{0,2}[ -])(?:[ ().-]{0,2}[0-9]){6,14}\b"
            r"|(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}\b"
        ),
        _is_phone,
    ),
}
