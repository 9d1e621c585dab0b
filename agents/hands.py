"""In whose hands an agent acts: its person's name, and never more than the right to propose.

The right does not depend on what an agent reads or is told. Every write of the catalog passes `catalog.access.check`, which
refuses these hands; what is left is to propose, and a person approves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from catalog.access import RANK, granted

if TYPE_CHECKING:
    from catalog.catalog import Catalog


def as_agent(cat: Catalog, agent: str) -> Catalog:
    """The same catalog, whose caller reads and proposes at most; runs and audit name the person and the agent."""
    from catalog.catalog import Catalog

    own = Catalog(replace(cat.settings, actor=f"{cat.settings.actor} (agent {agent})"))
    own.grant = min(granted(cat), "propose", key=RANK.__getitem__)
    return own
