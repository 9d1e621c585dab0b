"""Shapes of records, by kind; `catalog.ingest.dialect` declares what they are."""
