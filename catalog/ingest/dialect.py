"""Dialects: the shapes in which samples are found in the wild. One decorated function each, in `catalog.ingest.dialects`.

A dialect names the roles it needs ("prompt", "response") with the field names they usually have. Compiled for given
fields, it is a function from a raw record to the columns of its kind; it takes out of the record what it used, and what
stays is kept as `meta`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from catalog.errors import NotFound
from catalog.ingest.records import EMPTY
from catalog.ingest.turns import Unusable
from catalog.plugins import REGISTRY, load_plugins, register

Row = dict[str, Any]
Convert = Callable[[Row], Row]
Check = Callable[[Sequence[Row], Mapping[str, str]], "str | None"]


@dataclass(frozen=True)
class Dialect:
    """One shape of records.

    roles: role -> usual field names, most usual first; needs: roles without which it is not this dialect.
    compile(fields) -> convert(row) -> {column: value} with `text`; raises Unusable(reason, detail).
    check(rows, fields) -> None if the sample is of this dialect, else why not. strict: fields must have usual names.
    forced: considered only when the kind or the roles were given.
    """

    name: str
    kind: str
    rank: int
    roles: Mapping[str, tuple[str, ...]]
    needs: tuple[str, ...]
    compile: Callable[[dict[str, str]], Convert]
    check: Check | None = None
    strict: bool = False
    forced: bool = False
    doc: str = ""
    module: str = field(default="", compare=False)


def dialect(
    name: str, *, kind: str, rank: int, roles: Mapping[str, str], needs: str, **more: Any
) -> Callable[[Callable[[dict[str, str]], Convert]], Callable[[dict[str, str]], Convert]]:
    """Declare a dialect; roles and needs are written as words separated by blanks. A low rank is looked at first."""

    def decorate(compile_: Callable[[dict[str, str]], Convert]) -> Callable[[dict[str, str]], Convert]:
        words = {role: tuple(names.split()) for role, names in roles.items()}
        doc = (compile_.__doc__ or "").strip()
        item = Dialect(
            name, kind, rank, words, tuple(needs.split()), compile_, doc=doc, module=compile_.__module__, **more
        )
        register("dialect", name, item)
        return compile_

    return decorate


@cache
def _load() -> None:
    import importlib
    import pkgutil

    import catalog.ingest.dialects as ours

    for info in pkgutil.iter_modules(ours.__path__, ours.__name__ + "."):
        importlib.import_module(info.name)


def dialects() -> list[Dialect]:
    """Every dialect, ours and those of plug-in packages, the most telling first."""
    _load()
    load_plugins()
    return sorted(REGISTRY["dialect"].values(), key=lambda item: (item.rank, item.name))


def get_dialect(name: str) -> Dialect:
    """The dialect of that name; plug-in packages are looked through only when it is none of ours."""
    _load()
    if name not in REGISTRY["dialect"]:
        load_plugins()
    if name not in REGISTRY["dialect"]:
        raise NotFound("dialect", name, REGISTRY["dialect"], "install the plug-in that has it")
    return REGISTRY["dialect"][name]


def plain(name: str) -> str:
    """A field name as aliases are written: "Best Answer" -> best_answer."""
    return re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")


def find_field(names: Sequence[str], rows: Sequence[Row], share: float = 0.5) -> str | None:
    """The first of some usual names that is a field of enough rows, as it is spelled there."""
    for wanted in names:
        for spelled in dict.fromkeys(key for row in rows[:20] for key in row):
            if plain(spelled) == wanted and sum(row.get(spelled) is not None for row in rows) >= share * len(rows):
                return spelled
    return None


def match(item: Dialect, rows: Sequence[Row], given: Mapping[str, str]) -> tuple[dict[str, str], str | None]:
    """Fields for the roles of a dialect, and why the sample is not of it (None: it is)."""
    fields = {role: name for role, name in given.items() if role in item.roles}
    if unknown := [role for role in given if role not in item.roles]:
        return fields, f"it has no role {' or '.join(unknown)}"
    for role, names in item.roles.items():
        if role in fields:
            if item.strict and plain(fields[role]) not in names:
                return fields, f"{role} is called {fields[role]}"
            continue
        found = find_field(names, rows, 0.5 if role in item.needs else 0.01)
        if found is not None and found not in fields.values():
            fields[role] = found
    if lacking := [role for role in item.needs if role not in fields]:
        return fields, f"no field for {' and '.join(lacking)}"
    return fields, item.check(rows, fields) if item.check else None


def success(item: Dialect, rows: Sequence[Row], fields: dict[str, str]) -> float:
    """Share of sample rows that are of this shape. An empty record says nothing about its shape."""
    convert, good, empty = item.compile(fields), 0, 0
    for row in rows:
        try:
            convert(dict(row))
            good += 1
        except Unusable as problem:
            empty += problem.args[0] == EMPTY
    told = len(rows) - empty
    return good / told if told else 0.5
