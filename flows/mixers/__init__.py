"""Mixers, one file each; see `catalog.mixers`."""
