"""Numbers, dates and names as people read them, the same in a page, an alert and a terminal.

Pure functions from a value to its text. Not here: judgements (`driftlake.report.verdicts`), and the sentences around a
number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from driftlake.vocabulary.signals import Unit

# Characters that must not reach pages, charts and terminals unescaped: control characters except line breaks and
# tabs, unpaired surrogates, noncharacters, and invisible marks that change how the text around them is displayed.
_UNPRINTABLE = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f"
    "\\ud800-\\udfff\\ufdd0-\\ufdef\\ufeff\\ufff9-\\ufffb\\ufffe\\uffff\\U000e0000-\\U000e007f]"
)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~])")
# Statistics of performance that are written with three decimals; the others are in the unit of what is predicted.
SHARES = ("auc", "accuracy", "f1_score", "brier_score", "log_loss")
_PROPER_NAMES = {"auc": "AUC", "brier": "Brier", "f1": "F1"}


def version_name(row: Mapping[str, Any]) -> str:
    """The name of a deployed version: `credit v1 (production)`; `all models` without a model."""
    if row["model_id"] is None:
        return "all models"
    version = f" {row['model_version']}" if row["model_version"] else ""
    deployment = f" ({row['deployment']})" if row["deployment"] else ""
    return f"{row['model_id']}{version}{deployment}"


def printable(text: str) -> str:
    r"""Text that may come from data, escaped for display: characters that must not reach a page or a terminal are written as `\x1b`, `\u202e`.

    Call it where text is written to a page, a chart, a terminal, a notice or Dagster; tables store the text unchanged.
    """
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def is_printable(text: str) -> bool:
    """Whether `printable` leaves a text as it is."""
    return not _UNPRINTABLE.search(text)


def printable_markdown(text: str) -> str:
    """The same for a line of Markdown; markup in the text is escaped, too."""
    return _MARKDOWN.sub(r"\\\1", " ".join(printable(text).split()))


def statistic_name(statistic: str) -> str:
    """The name of a statistic of model_quality in words: `estimated AUC`."""
    return " ".join(_PROPER_NAMES.get(word, word) for word in statistic.split("_"))


def counted(count: float, noun: str) -> str:
    """`1 day`, `1,200 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def first_of(names: Sequence[str], count: int, *, joint: str = ", ", others: str = "more") -> str:
    """The first `count` of some names and how many others there are: `a, b and 3 more`."""
    rest = len(names) - count
    return joint.join(names[:count]) + (f" and {rest:,} {others}" if rest > 0 else "")


def left_out(names: Sequence[str], why: str) -> str:
    """A sentence that something is left out of a day: `credit v1 is left out: out of memory`."""
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} left out: {why}"


def leaves_out(reason: str | None, name: str) -> bool:
    """Whether a reason contains the sentence of `left_out` about a name."""
    listed = rf"(^|; |, ){re.escape(name)}(, [^:;]+)? (is|are) left out: "
    return bool(re.search(listed, reason or ""))


def change(difference: int) -> str:
    """`12 more than`, `as many as`."""
    if not difference:
        return "as many as"
    return f"{abs(difference):,} {'more' if difference > 0 else 'fewer'} than"


def long_day(day: date) -> str:
    """`22 August 2013`."""
    return f"{day.day} {day:%B %Y}"


def number(value: float) -> str:
    """A whole number with thousands separators."""
    return f"{value:,.0f}"


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage; a small share is never rounded to zero."""
    smallest = 0.1**digits
    return f"<{smallest:g}%" if 0 < share * 100 < smallest else f"{share:.{digits}%}"


def points(change_of_share: float) -> str:
    """The change of a share in percentage points, without the unit: `+1.2`."""
    return f"{change_of_share * 100:+.1f}"


def decimal(value: float) -> str:
    """A divergence, with as many decimals as are useful for comparison."""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def three_decimals(value: float) -> str:
    """An AUC or a score."""
    return f"{value:.3f}"


def signed(difference: float) -> str:
    """A difference of two scores or AUCs: `+0.012`."""
    return f"{difference:+.3f}"


def probability(value: float) -> str:
    """A p-value or q-value: `0.024`, `< 0.001`."""
    return "< 0.001" if value < 0.001 else decimal(value)


def measured(value: float) -> str:
    """A value of a feature: four significant digits, and all digits before the decimal point."""
    return number(value) if abs(value) >= 1e4 else f"{value:.4g}"


def milliseconds(value: float) -> str:
    """A duration in ms."""
    return f"{value:.3g} ms" if value < 1000 else f"{value:,.0f} ms"


def size(size_bytes: int) -> str:
    """A file size in kB or MB."""
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:,.1f} kB"


def percentage_points(change_of_share: float) -> str:
    """The change of a share with its unit: `1.2 percentage points`."""
    return f"{change_of_share * 100:.1f} percentage points"


def in_unit(value: float, unit: Unit) -> str:
    """A value or threshold of an alert in the unit of its signal."""
    return _UNITS[unit](value)


_UNITS: Mapping[Unit, Callable[[float], str]] = {
    "number": "{:.3g}".format,
    "count": number,
    "percent": percent,
    "percentage points": percentage_points,
    "ms": milliseconds,
}
