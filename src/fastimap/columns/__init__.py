"""Messages as columns of Apache Arrow: which there are, of what types, and how they are filled."""

from __future__ import annotations

from .build import Builder, Values
from .schema import Columns, column_of_header, pyarrow

__all__ = ["Builder", "Columns", "Values", "column_of_header", "pyarrow"]
