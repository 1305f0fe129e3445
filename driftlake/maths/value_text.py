"""The text of a value, which does not depend on the type that a writer gave it, for Arrow columns and in SQL.

A whole number becomes its digits (3, 3.0 and 3.00 become 3), and any other number the shortest decimal that reads back
as the same number, or, if two are equally near, the number itself. A boolean becomes true or false, and a UUID its 36 characters. Text stays as it is, and bytes are
read as UTF-8. Anything else (nan, other bytes) is missing. Not here: what training says about the values of a feature
(`driftlake.maths.binning`).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.types as pat

_UUID_BYTES = 16
# DuckDB's largest integers have 38 digits; a larger float is written with an exponent.
_LARGEST_WHOLE = 1e38
# From here on, a float can stand for several whole numbers, so it cannot hold an id.
_LARGEST_EXACT = 2**53
# As Python and spreadsheets write truth values.
_TRUTH_TEXTS = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}


def is_text(kind: pa.DataType) -> bool:
    """Whether columns of this Arrow type hold text directly, not in a dictionary."""
    return bool(pat.is_string(kind) or pat.is_large_string(kind) or pat.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether columns of this Arrow type hold bytes, which may be text without its annotation."""
    return bool(pat.is_binary(kind) or pat.is_large_binary(kind) or pat.is_binary_view(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether columns of this Arrow type hold numbers that DuckDB can read as well: decimals of 38 digits at most."""
    is_decimal = pat.is_decimal(kind) and not pat.is_decimal256(kind)
    return bool(pat.is_integer(kind) or pat.is_floating(kind) or is_decimal)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values, also if they are in a dictionary."""
    return plain_type(kind.value_type) if pat.is_dictionary(kind) else kind


def without_trailing_zeros(number: str) -> str:
    """The shortest form of a decimal number: 2.50 as 2.5, 3.00 as 3."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def has_text(kind: pa.DataType) -> bool:
    """Whether values of this Arrow type have a text."""
    kind = plain_type(kind)
    return is_text(kind) or is_bytes(kind) or is_number(kind) or _is_uuid(kind) or bool(pat.is_boolean(kind))


def family(kind: pa.DataType) -> str:
    """The group of types that DuckDB can read together without changing the text of a value."""
    kind = plain_type(kind)
    if is_text(kind):
        return "text"
    return "integer" if pat.is_integer(kind) else str(kind)


def as_text(values: pa.Array) -> pa.Array:
    """The text of each value. Values other than text, integers and booleans are converted one by one, so there should be few."""
    kind = values.type
    if pat.is_decimal(kind):
        written = [_written(number, _of_decimal) for number in values.to_pylist()]
    elif pat.is_floating(kind):
        # the shortest text depends on the width of the float
        short = values.cast(pa.float32()) if pat.is_float16(kind) else values
        texts = short.cast(pa.string()).to_pylist()
        numbers = short.to_pylist()
        written = [None if n is None else _of_float(n, text) for n, text in zip(numbers, texts, strict=True)]
    elif _is_uuid(kind):
        stored = values.storage if isinstance(values, pa.ExtensionArray) else values
        written = [_written(raw, lambda raw: str(UUID(bytes=raw))) for raw in stored.to_pylist()]
    elif is_bytes(kind):
        written = [_written(raw, _of_bytes) for raw in values.to_pylist()]
    else:
        return values.cast(pa.string())
    return pa.array(written, pa.string())


def texts_of(values: pa.Array) -> list[str | None]:
    """The same as a list."""
    texts: list[str | None] = as_text(values).to_pylist()
    return texts


def category_text(text: str) -> str:
    """The name of a segment or a class; a boolean that a writer stored as text has the name of the boolean."""
    return _TRUTH_TEXTS.get(text, text)


def sql_text(expression: str, kind: pa.DataType) -> str:
    """SQL of the text of an expression over a Parquet column of this Arrow type; text columns need no conversion."""
    kind = plain_type(kind)
    if is_text(kind):
        return expression
    if pat.is_floating(kind):
        return f"float_text({expression})"
    if pat.is_decimal(kind):
        return f"decimal_text({expression}, {kind.scale})"
    if pat.is_fixed_size_binary(kind):
        # DuckDB has bytes or, where Parquet says that they are UUIDs, those
        return f"cast(cast({expression} as uuid) as varchar)"
    if is_bytes(kind):
        return f"try(decode({expression}))"
    return f"cast({expression} as varchar)"


def sql_category(expression: str, kind: pa.DataType) -> str:
    """SQL of the name of a segment or a class, as `category_text` has it."""
    text = sql_text(expression, kind)
    if not (is_text(plain_type(kind)) or is_bytes(plain_type(kind))):
        return text
    listed = " ".join(f"when '{written}' then '{name}'" for written, name in _TRUTH_TEXTS.items())
    return f"case {text} {listed} else {text} end"


def sql_id(expression: str, kind: pa.DataType) -> str:
    """SQL of the text of an id; null if a float is not a whole number or too large to be exact."""
    text = sql_text(expression, kind)
    if not pat.is_floating(plain_type(kind)):
        return text
    return f"case when {expression} = trunc({expression}) and abs({expression}) < {_LARGEST_EXACT} then {text} end"


def _is_uuid(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return bool(kind.extension_name == "arrow.uuid")
    return bool(pat.is_fixed_size_binary(kind)) and kind.byte_width == _UUID_BYTES


def _written(value: Any, write: Callable[[Any], str | None]) -> str | None:
    return None if value is None else write(value)


def _of_float(number: float, shortest: str) -> str | None:
    if number != number:  # noqa: PLR0124  # nan
        return None
    if number.is_integer() and abs(number) < _LARGEST_WHOLE:
        return str(int(number))
    # DuckDB writes a number in the middle between two shortest decimals as it is
    exact = Decimal(number).as_tuple().digits
    is_in_the_middle = exact[-1] == 5 and len(exact) == len(Decimal(shortest).as_tuple().digits) + 1
    return repr(number if is_in_the_middle else float(shortest))


def _of_decimal(number: Any) -> str:
    return without_trailing_zeros(f"{number:f}")


def _of_bytes(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
