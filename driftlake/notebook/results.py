"""Results as a notebook or a terminal shows them: a sentence and a table of the most important rows. All rows are available as a frame.

Not here: how they are computed.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from driftlake.vocabulary.wording import printable

_TABLE: dict[str, Any] = {
    "tbl_rows": 100,
    "tbl_cols": -1,
    "tbl_width_chars": 1000,
    "tbl_hide_dataframe_shape": True,
    "tbl_hide_column_data_types": True,
    "fmt_str_lengths": 80,
    "fmt_table_cell_list_len": 3,
    "float_precision": 4,
    "tbl_cell_numeric_alignment": "RIGHT",
    "thousands_separator": True,
}


@dataclass(frozen=True)
class Result:
    """Rows of a comparison or a measurement.

    `frame` has all rows with the columns of the nightly table; `summary` has those that are shown. `left_out` gives the
    reason for each column that was not used.
    """

    sentence: str
    frame: pl.DataFrame
    summary: pl.DataFrame
    left_out: Mapping[str, str] = field(default_factory=dict)

    def to_pandas(self) -> Any:
        """`frame` as a pandas data frame."""
        return self.frame.to_pandas()

    def __str__(self) -> str:
        with pl.Config(**_TABLE):
            table = str(self.summary)
        return printable("\n".join([self.sentence, table, *self._remarks()]))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        with pl.Config(**_TABLE):
            table = self.summary._repr_html_()
        remarks = "".join(f"<p><small>{html.escape(printable(remark))}</small></p>" for remark in self._remarks())
        return f"<p>{html.escape(printable(self.sentence))}</p>{table}{remarks}"

    def _remarks(self) -> list[str]:
        return ["left out: " + "; ".join(f"{name} ({why})" for name, why in self.left_out.items())] * bool(
            self.left_out
        )
