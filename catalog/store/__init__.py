"""Lance tables: write without publishing, publish under a lease, checkpoints, compaction, collection."""

from catalog.store.tables import ColumnFile, create_table, open_table, write_column_file, write_fragment

__all__ = ["ColumnFile", "create_table", "open_table", "write_column_file", "write_fragment"]
