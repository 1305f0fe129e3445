"""Detects personal data in text: emails, phone numbers, payment cards, IP addresses, IBANs, national ids.

Only distinct values are checked. A *form* is a shape (a regular expression) and a check of the values that have the
shape. A column contains personal data if clearly more values of the shape pass the check than by chance. Not here:
which columns are checked (`driftlake.privacy.personal_columns`), and leaving them out (`driftlake.profiles.plan`, `driftlake.training.registration`).
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import nsmallest
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from driftlake.inputs.json_features import parsed_json
from driftlake.inputs.parquet_files import open_parquet, oversized_of
from driftlake.inputs.parquet_sql import is_keyed
from driftlake.maths.value_text import as_text, is_bytes, is_text, plain_type

# Largest number of values to check: enough to estimate shares, and a column takes at most a tenth of a second.
_CHECKED_AT_MOST = 2_000
# If random values of the shape pass a check at most this often, a single value that passes is a finding.
_ALMOST_NEVER = 0.1
# Integers below this are in no form.
_SMALLEST_INTEGER = 10**10
# A UUID is not personal data, although one in thousands contains the digits of a card.
_UUID = r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
# An id: letters and digits, in groups. If at least this many ids are written alike and at most this few of them have a
# shape, they have it by chance.
_ID = r"^[0-9A-Za-z]+(?:[-_:.][0-9A-Za-z]+)*$"
_FEWEST_IDS, _SHARE_BY_CHANCE = 20, 0.05
# Every value in a form has an @, or four digits.
_HAS_ANY_FORM = r"@|(?:[0-9].*){4}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Numbers of distinct values with personal data in a column, by kind; never the values themselves."""

    checked_count: int
    kinds: Mapping[str, int]

    @property
    def unexpected_count(self) -> int:
        """Number of findings over all kinds."""
        return sum(self.kinds.values())

    def __str__(self) -> str:
        return ", ".join(f"{kind}: {count:,}" for kind, count in self.kinds.items())


@dataclass(frozen=True, slots=True)
class Form:
    """A way to write a kind of personal data.

    `chance` is the share of random values of the shape that pass the check, for checks with check digits or similar.
    Other checks pass too easily, so `least_share` of the values of the shape must pass.
    """

    kind: str
    shape: str
    is_valid: Callable[[str], bool]
    chance: float = 0.0
    least_share: float = 0.0

    def count(self, values: pa.Array) -> int:
        """Number of distinct values in this form; 0 if it can be chance."""
        candidates = values.filter(pc.match_substring_regex(values, self.shape))
        looked_at, passed = self._checked(candidates)
        if passed and self.chance:
            candidates = _without_ids(candidates, values)
            looked_at, passed = self._checked(candidates)
        if not passed or not self._is_evidence(passed, len(looked_at)):
            return 0
        return round(passed / len(looked_at) * len(candidates))

    def mask(self, text: str) -> str:
        """`text` with everything in this form replaced by its kind."""
        return re.sub(self.shape, lambda match: f"({self.kind})" if self.is_valid(match[0]) else match[0], text)

    def _checked(self, candidates: pa.Array) -> tuple[list[str], int]:
        """The number of values that are checked, and how many pass."""
        looked_at = _at_most(candidates.to_pylist(), _CHECKED_AT_MOST)
        return looked_at, sum(self._is_in(value) for value in looked_at)

    def _is_in(self, value: str) -> bool:
        return any(self.is_valid(match[0]) for match in re.finditer(self.shape, value))

    def _is_evidence(self, passed: int, shaped: int) -> bool:
        """Whether clearly more values pass than by chance; with more values, the required evidence is stronger."""
        if not self.chance:
            return passed >= self.least_share * shaped
        # slow to import
        from scipy.special import bdtrc

        return bool(bdtrc(passed - 1, shaped, self.chance) < _ALMOST_NEVER / shaped)


def find(values: Iterable[str]) -> Finding | None:
    """The personal data in the distinct `values`; None if there is none."""
    return _find_in(pa.array(values, pa.string()))


def scan_files(paths: Iterable[str], columns: Iterable[str]) -> dict[str, Finding]:
    """Those of `columns` (struct.field for a field, or for a key of a MAP or of JSON) of Parquet files that contain personal data."""
    distinct: dict[str, list[pa.Array]] = {column: [] for column in columns}
    for path in paths:
        with open_parquet(path) as plain:
            # built anew by each call
            schema = plain.schema_arrow
            kinds = {column: _type_of(schema, column) for column in distinct}
            # columns with such large cells are never read
            too_large = oversized_of(plain.metadata, path)
        is_looked_at = {c: is_text(kind) or is_bytes(kind) or pa.types.is_integer(kind) for c, kind in kinds.items()}
        present = [column for column, looked_at in is_looked_at.items() if looked_at and column not in too_large]
        keyed = [column for column in distinct if _is_key(schema, column, too_large)]
        if not present and not keyed:
            continue
        texts = [column for column in present if is_text(kinds[column]) or is_bytes(kinds[column])]
        with open_parquet(path, dictionary_columns=texts) as parquet:
            for index, column in ((i, c) for i in range(parquet.num_row_groups) for c in present):
                read = parquet.read_row_group(index, columns=[column], use_threads=False)
                distinct[column] += _distinct(read, column)
            for index in range(parquet.num_row_groups if keyed else 0):
                for column, values in _values_of_keys(parquet, index, keyed):
                    distinct[column] += _distinct(pa.table({column: values}), column)
    found = {column: _find_in(pc.unique(pa.chunked_array(parts, pa.string()))) for column, parts in distinct.items()}
    return {column: finding for column, finding in found.items() if finding}


def mask(text: str) -> str:
    """`text` with everything that looks like personal data replaced by its kind."""
    if not re.search(_HAS_ANY_FORM, text, re.DOTALL):
        return text
    ids = re.findall(_UUID, text)
    between = re.split(_UUID, text)
    for form in FORMS:
        between = [form.mask(part) for part in between]
    return between[0] + "".join(uuid + part for uuid, part in zip(ids, between[1:], strict=True))


def _find_in(values: pa.Array) -> Finding | None:
    count = len(values)
    values = pc.replace_substring_regex(values, _UUID, "")
    likely = values.filter(pc.match_substring_regex(values, f"(?s){_HAS_ANY_FORM}"))
    if not len(likely):
        return None
    kinds: dict[str, int] = {}
    for form in FORMS:
        if count := form.count(likely):
            kinds[form.kind] = kinds.get(form.kind, 0) + count
    return Finding(count, kinds) if kinds else None


def _without_ids(candidates: pa.Array, values: pa.Array) -> pa.Array:
    """Values with a shape, without hashes and other ids. An id is written like many other values, and hardly any of those have the shape."""
    alike = Counter(_ways_to_write(values))
    shaped = Counter(ways := _ways_to_write(candidates))
    by_chance = {
        way: alike[way] >= _FEWEST_IDS and count <= _SHARE_BY_CHANCE * alike[way] for way, count in shaped.items()
    }
    return candidates.filter(pa.array([way is None or not by_chance[way] for way in ways]))


def _ways_to_write(values: pa.Array) -> list[str | None]:
    """The positions of letters and digits in each id; None for values that are not ids."""
    ways = pc.replace_substring_regex(values, "[0-9A-Za-z]", "x")
    nothing = pa.scalar(None, values.type)
    found: list[str | None] = pc.if_else(pc.match_substring_regex(values, _ID), ways, nothing).to_pylist()
    return found


def _at_most(values: list[str], count: int) -> list[str]:
    """At most `count` of the values, chosen independently of their order."""
    return nsmallest(count, values, key=lambda value: (crc32(value.encode()), value)) if len(values) > count else values


def _type_of(schema: pa.Schema, column: str) -> pa.DataType:
    """Type of a column, or of a field of a struct column by its path; null if there is none."""
    names = [column] if column in schema.names else column.split(".", 1)
    kind = schema.field(names[0]).type if names[0] in schema.names else pa.null()
    for name in names[1:]:
        kind = kind.field(name).type if pa.types.is_struct(kind) and kind.get_field_index(name) >= 0 else pa.null()
    return plain_type(kind)


def _is_key(schema: pa.Schema, column: str, too_large: Mapping[str, int]) -> bool:
    """Whether a column is a key of a readable MAP or JSON column."""
    whole = column.partition(".")[0]
    is_there = whole != column and column not in schema.names and whole in schema.names
    return is_there and whole not in too_large and is_keyed(schema.field(whole).type)


def _values_of_keys(parquet: pq.ParquetFile, index: int, keyed: Sequence[str]) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Values of the rows of a row group under some keys of one column."""
    whole = keyed[0].partition(".")[0]
    names = {column: column.partition(".")[2] for column in keyed}
    rows = parquet.read_row_group(index, columns=[whole], use_threads=False).column(whole)
    if pa.types.is_map(rows.type):
        for column, name in names.items():
            values = pc.map_lookup(rows, pa.scalar(name, rows.type.key_type), "first")
            if is_text(values.type) or pa.types.is_integer(values.type):
                yield column, values
        return
    parsed = parsed_json(rows, list(names.values()))
    yield from ((column, parsed.column(name)) for column, name in names.items())


def _distinct(table: pa.Table, column: str) -> Iterator[pa.Array]:
    """Distinct values as text, chunk by chunk."""
    values = table.column(0)
    if column not in table.column_names:
        values = pc.struct_field(values, column.split(".", 1)[1])
    for chunk in values.chunks:
        if pa.types.is_dictionary(chunk.type):
            yield as_text(chunk.dictionary)
        elif not pa.types.is_integer(chunk.type) or (
            (largest := pc.max(chunk).as_py()) is not None and largest >= _SMALLEST_INTEGER
        ):
            yield as_text(pc.unique(chunk))


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


def _is_email(text: str) -> bool:
    # icon@2x.png is a file name
    return text.rpartition(".")[2].lower() not in {"png", "jpg", "jpeg", "gif", "svg", "webp"}


def _is_iban(text: str) -> bool:
    """ISO 13616; groups after the number that belong to the text are dropped one by one."""
    from stdnum import iban

    while text:
        if iban.is_valid(text):
            return True
        text = text.rpartition(" ")[0]
    return False


def _is_card(text: str) -> bool:
    from stdnum import luhn

    digits = _digits(text)
    return bool(_ISSUERS.fullmatch(digits)) and bool(luhn.is_valid(digits))


def _is_phone(text: str, region: str | None = None) -> bool:
    import phonenumbers

    if re.fullmatch(r"\+[0-9]+\.[0-9]+", text):
        # a number with a sign
        return False
    try:
        number = phonenumbers.parse(re.sub(r"^00", "+", text), region)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(number)


def _is_ip_v4(text: str) -> bool:
    """Whether it is an address rather than a version number, which has small parts: two parts are large, or the network is private."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    *_, second, largest = sorted(address.packed)
    return (largest >= 100 and second >= 32) or any(address in network for network in _PRIVATE)


def _is_ip_v4_of_ten(text: str) -> bool:
    """Whether it is in the private network 10.0.0.0/8; at most one in ten version numbers is, too."""
    try:
        return ipaddress.IPv4Address(text).packed[0] == 10
    except ValueError:
        return False


def _is_ip_v6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return sum(bool(group) for group in text.split(":")) >= 3


def _passes(module: str, text: str) -> bool:
    """Whether a module of python-stdnum accepts a number; a number with a sign is an amount."""
    from importlib import import_module

    return text[0] not in "+-" and bool(import_module(f"stdnum.{module}").is_valid(text))


def _is_nino(text: str) -> bool:
    """United Kingdom: there is no check digit, but some letters are not issued (HMRC manual NIM39110)."""
    compact = text.replace(" ", "")
    is_given_out = re.fullmatch(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]", compact)
    return bool(is_given_out) and compact[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


# prefix and length of Visa, Mastercard, American Express, Discover, Diners Club and JCB (ISO/IEC 7812)
_ISSUERS = re.compile(
    r"4[0-9]{12}([0-9]{3}([0-9]{3})?)?|(5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"
    r"|3[47][0-9]{13}|6(011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}|3(0[0-5]|[68][0-9])[0-9]{11}|35(2[89]|[3-8][0-9])[0-9]{12}"
)
_PRIVATE = [
    ipaddress.IPv4Network(network)
    for network in ("100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
]


def _national(shape: str, module: str, **evidence: float) -> Form:
    return Form("national id", shape, partial(_passes, module), **evidence)


# The regular expressions work in RE2 and in Python. Chances were measured with random values of the shape (`bench.pii`).
FORMS: Sequence[Form] = (
    Form("email", r"(?i)[\pL0-9._%+'-]+@(?:[\pL0-9-]+\.)+[\pL]{2,}".replace(r"\pL", "a-z\u00c0-\u024f"), _is_email),
    Form("IBAN", r"(?i)\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", _is_iban, chance=0.0103),
    Form("payment card", r"\b[0-9](?:[ -]?[0-9]){12,18}\b", _is_card, chance=0.022),
    _national(r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", "us.ssn", least_share=0.95),
    Form("national id", r"\b[A-Z]{2} [0-9]{2} [0-9]{2} [0-9]{2} [A-Z]\b", _is_nino, least_share=0.75),
    Form("national id", r"\b[A-Z]{2}[0-9]{6}[A-Z]\b", _is_nino, chance=0.12),
    _national(r"\b[0-9]{8}-?[A-Z]\b", "es.dni", chance=0.044),
    _national(r"\b[XYZ]-?[0-9]{7}-?[A-Z]\b", "es.nie", chance=0.044),
    _national(r"\b[A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]\b", "it.codicefiscale", chance=0.02),
    _national(
        r"\b[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b", "fr.nir", chance=0.0104
    ),
    _national(r"[+-]?\b[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b", "de.idnr", chance=0.004),
    _national(r"[+-]?\b[0-9]{11}\b", "pl.pesel", chance=0.02),
    _national(r"[+-]?\b[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}\b", "br.cpf", chance=0.01),
    Form("IP address", r"\b[0-9]{1,5}(?:\.[0-9]{1,5}){3,}\b", _is_ip_v4, least_share=0.5),
    Form("IP address", r"\b[0-9]{1,5}(?:\.[0-9]{1,5}){3,}\b", _is_ip_v4_of_ten, chance=0.12),
    Form("IP address", r"\b[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f]{1,4}\b", _is_ip_v6),
    Form(
        "phone number",
        r"(?:\+[1-9]|^-[1-9]|^00[1-9][0-9]{0,2}[ -])(?:[ ()./-]{0,2}[0-9]){6,14}\b",
        _is_phone,
        least_share=0.75,
    ),
    Form("phone number", r"\([0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}\b", partial(_is_phone, region="US"), least_share=0.75),
    # ids often have this shape, too
    Form("phone number", r"\b[0-9]{3}[ .-][0-9]{3}[ .-][0-9]{4}\b", partial(_is_phone, region="US"), chance=0.4),
)
