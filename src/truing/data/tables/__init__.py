"""Tables in whatever form people keep them: text, columns on disk, a saved folder, the hub."""

from truing.data.tables.reading import read_table
from truing.data.tables.table import Table, TableRow

__all__ = ["Table", "TableRow", "read_table"]
