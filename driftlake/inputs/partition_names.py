"""What folder names say about the files in them: their day, and the values of columns that exist only in names.

Not here: listing folders (`driftlake.inputs.listing`), and the values of a table's log (`driftlake.inputs.lakehouse`), which are read by the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from urllib.parse import unquote

# Folder name of a missing value in Hive and Spark.
MISSING = "__HIVE_DEFAULT_PARTITION__"

# Keys under which a day may be written in any form. Under another key it has to look like one: 20260105 may be an id.
DAY_KEYS = ("dt", "date", "day", "ds")
_YEAR_KEYS, _MONTH_KEYS, _DAY_OF_MONTH_KEYS = ("year", "yyyy", "y"), ("month", "mm", "m"), ("day", "dd", "d")
# 2026-01-05 or 2026-1-5, and a time of day after it
_TIME = r"[T _+-]\d{1,2}([:._-]?\d{2}){0,2}([.,]\d+)?( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?"
_DASHED = re.compile(rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}})(?P<time>$|{_TIME})", re.ASCII)
# 20260105, and the hour, minute and second after it
_DIGITS = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?P<time>$|T?\d{2,6}Z?$|-\d{2}$)", re.ASCII)
_NUMBER = re.compile(r"\d{1,2}", re.ASCII)
_YEAR = re.compile(r"(19|20)\d{2}", re.ASCII)
# Ending of a folder that distributed writers make where others make a file.
_ENDING = ".parquet"
_CODE = re.compile(r"(%[YmdHMS]|\*)")
_CODES = {"%Y": "year", "%m": "month", "%d": "day", "%H": "", "%M": "", "%S": ""}
_PARTS = ("year", "month", "day")


@dataclass(frozen=True, slots=True)
class Place:
    """What is known from the names of the folders above: the day, or the parts of it that were found so far.

    `shape` are their names with letters in place of the numbers, as people describe a layout.
    """

    day: date | None = None
    parts: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, str | None] = field(default_factory=dict)
    shape: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no part of a day is known."""
        return self.day is None and not self.parts

    def may_hold(self, days: Iterable[date]) -> bool:
        """Whether files of one of the days may be below."""
        return any(self.day in {None, day} and self.parts.items() <= _parts_of(day).items() for day in days)


def below(place: Place, name: str, pattern: str | None = None) -> Place | None:
    """The place of a folder with this name; None if the name is not recognised.

    `pattern` says how the folders are called from the top, e.g. "year=%Y/week=*/%Y%m%d". Without one, they are read by
    the forms that writers use.
    """
    name = unquote(name)
    if pattern is not None and len(place.shape) < len(levels := _levels(pattern)):
        return _by_pattern(place, name, levels)
    return _by_form(place, name) if place.day is None else _below_day(place, name)


def place_of(folders: Sequence[str], pattern: str | None = None) -> Place:
    """The place of a file from the folders above it: the longest row of folders that is understood and gives a day."""
    found = Place()
    for start in reversed(range(len(folders))):
        place = down(Place(), folders[start:], pattern)
        if place and place.day:
            found = place
        elif found.day:
            break
    return found


def down(place: Place, folders: Iterable[str], pattern: str | None = None) -> Place | None:
    """The place that nested folders lead to; None if one of them is not understood."""
    where: Place | None = place
    for name in folders:
        where = where and below(where, name, pattern)
    return where


def columns_of(place: Place) -> dict[str, str | None]:
    """The values of a place as values of columns: text, because 03 and 10 may be ids, and null for a missing value."""
    return {key: None if value == MISSING else value for key, value in place.values.items()}


def _below_day(place: Place, name: str) -> Place | None:
    key, value = _parted(name)
    if key is not None:
        return replace(place, values={**place.values, key: value}, shape=(*place.shape, f"{key}=..."))
    if name.endswith(_ENDING):
        return place
    # hours; a folder of another name may hold copies
    return replace(place, shape=(*place.shape, "HH")) if _NUMBER.fullmatch(name) else None


def _by_form(place: Place, name: str) -> Place | None:
    key, value = _parted(name.removesuffix(_ENDING))
    prefix = "" if key is None else f"{key}="
    lower = None if key is None else key.lower()
    if found := _whole_day(lower, value):
        return replace(place, day=found[0], parts={}, shape=(*place.shape, prefix + found[1]))
    parts: dict[str, int] = dict(place.parts)
    if not parts and _YEAR.fullmatch(value) and lower in {None, *_YEAR_KEYS}:
        return replace(place, parts={"year": int(value)}, shape=(*place.shape, f"{prefix}YYYY"))
    expected, keys, form = ("month", _MONTH_KEYS, "MM") if "month" not in parts else ("day", _DAY_OF_MONTH_KEYS, "DD")
    if parts and lower in {None, *keys} and _NUMBER.fullmatch(value):
        return _with_parts(place, {**parts, expected: int(value)}, prefix + form)
    if key is None:
        return None
    return replace(place, values={**place.values, key: value}, shape=(*place.shape, f"{prefix}..."))


def _whole_day(key: str | None, value: str) -> tuple[date, str] | None:
    """The day that a name alone gives, and the form of the name."""
    found = _DASHED.fullmatch(value)
    form = "YYYY-MM-DD"
    if found is None and key in {None, *DAY_KEYS}:
        found, form = _DIGITS.fullmatch(value), "YYYYMMDD"
    day = found and _date({part: int(found[part]) for part in _PARTS})
    if found is None or day is None:
        return None
    if form == "YYYY-MM-DD" and len(value) - len(found["time"]) < len(form):
        form = "YYYY-M-D"
    return day, form + ("..." if found["time"] else "")


def _by_pattern(place: Place, name: str, levels: list[str]) -> Place | None:
    level = levels[len(place.shape)]
    found = re.fullmatch(_regex(level), name, re.ASCII)
    if found is None:
        return None
    said = {part: int(text) for part, text in found.groupdict().items()}
    key, value = _parted(name)
    if not said:
        values = {**place.values, key: value} if key else place.values
        return replace(place, values=values, shape=(*place.shape, level))
    return _with_parts(place, {**place.parts, **said}, level)


def _levels(pattern: str) -> list[str]:
    return pattern.strip("/").split("/")


def _regex(level: str) -> str:
    # numbers that touch each other have all their digits
    is_tight = re.search(r"%[YmdHMS]%[YmdHMS]", level) is not None
    return "".join(
        _number(piece, is_tight=is_tight) if piece in _CODES else ".*" if piece == "*" else re.escape(piece)
        for piece in _CODE.split(level)
    )


def _number(code: str, *, is_tight: bool) -> str:
    digits = r"\d{4}" if code == "%Y" else r"\d{2}" if is_tight else r"\d{1,2}"
    return f"(?P<{_CODES[code]}>{digits})" if _CODES[code] else digits


def _with_parts(place: Place, parts: Mapping[str, int], form: str) -> Place | None:
    if len(parts) < len(_PARTS):
        is_possible = 1 <= parts.get("month", 1) <= 12  # months
        return replace(place, parts=parts, shape=(*place.shape, form)) if is_possible else None
    day = _date(parts)
    return replace(place, day=day, parts={}, shape=(*place.shape, form)) if day else None


def _date(parts: Mapping[str, int]) -> date | None:
    try:
        return date(parts["year"], parts["month"], parts["day"])
    except ValueError:
        return None


def _parts_of(day: date) -> Mapping[str, int]:
    return {"year": day.year, "month": day.month, "day": day.day}


def _parted(name: str) -> tuple[str | None, str]:
    key, sign, value = name.partition("=")
    return (key, value) if sign and key else (None, name)
