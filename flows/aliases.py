"""The short names of planned columns: what people type, beside the physical names that fingerprints make."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from catalog.catalog import Resolved
from catalog.errors import BadInput
from catalog.meta.models import ColumnRecord
from catalog.schema import field_names

if TYPE_CHECKING:
    from flows.planner import Step


def with_aliases(
    found: Resolved,
    steps: list[Step],
    known: dict[str, ColumnRecord],
    asked: dict[str, str],
    bases: dict[str, str],
) -> list[Step]:
    """Short names: the output's name (with the target's, where there is one); a taken one gets a suffix."""
    taken = {column.alias: column.physical for column in known.values()}
    by_alias = {column.alias: column for column in known.values()}
    own = field_names(found.dataset.kind)
    legal = {name for step in steps for name in step.outputs}
    if unknown := set(asked) - legal:
        raise BadInput(f"cannot rename {sorted(unknown)[0]!r}: the outputs are {', '.join(sorted(legal))}")
    done = []
    for step in steps:
        aliases = {}
        for name, physical in step.outputs.items():
            if physical in known:
                aliases[name] = known[physical].alias
                continue
            tail = "_" + step.target.split("@")[0].replace("-", "_").replace(".", "_") if step.target else ""
            alias = asked.get(name) or f"{name}{tail}"
            replaces = alias in by_alias and bases.get(by_alias[alias].fingerprint) == step.base
            owns = step.plugin.pattern == "global" or step.plugin.fit_on == "evals"
            if (alias in taken and not (replaces and owns)) or alias in own:
                if name in asked:
                    raise BadInput(f"column {alias!r} exists in {found.dataset.name}; choose another name with --as")
                alias = f"{alias}_{step.fingerprint[:4]}"
            taken[alias] = physical
            aliases[name] = alias
        done.append(replace(step, aliases=aliases))
    return done
