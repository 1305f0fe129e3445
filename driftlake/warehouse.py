"""The old place of `Warehouse`, for programs that import it from here."""

import warnings

from driftlake.lake.warehouse import Warehouse

__all__ = ["Warehouse"]

warnings.warn("driftlake.warehouse has moved: use `from driftlake import open_warehouse`", FutureWarning, stacklevel=2)
