"""Plug-ins of ours, one a module: a scorer, a reader, a dialect, an exporter."""
