"""Strata's memory: metadata, tables, SQL, search, ingest, tiers, lineage, mixes and pull."""

from catalog.catalog import Catalog

__all__ = ["Catalog"]
