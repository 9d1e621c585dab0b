"""Selectors, one file each; see `catalog.selectors`."""
