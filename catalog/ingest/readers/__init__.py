"""Readers, one file each; `catalog.ingest.records` declares what they are."""
