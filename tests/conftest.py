"""Fixtures every room uses: a fresh catalog in a temporary home, and quiet, offline libraries."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

import pytest

from catalog import Catalog


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    """No test ever touches a real home or a team's services."""
    monkeypatch.setenv("STRATA_HOME", str(tmp_path / "home"))
    for name in ("STRATA_DATABASE_URL", "STRATA_TABLES_URI", "STRATA_GRANT", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cat(tmp_path) -> Catalog:
    return Catalog.open(tmp_path / "home")
