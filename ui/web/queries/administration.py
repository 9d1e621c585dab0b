"""What an administrator looks at: who did what, where runs may happen, what is stored where. Nothing is started."""

from __future__ import annotations

import csv
import io
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sqlmodel import case, col, func, select

from catalog import Catalog
from catalog.access import check, may
from catalog.errors import StrataError
from catalog.meta.models import Audit

PAGE = 50
MOST = 100_000
"""Rows of the audit in one download."""
PACKAGES = ("strata-catalog", "pylance", "lancedb", "duckdb", "pyarrow", "streamlit", "prefect", "torch")


@dataclass(frozen=True)
class AuditFilter:
    """Who, what, to which; empty is any. outcome: "", "done" or "refused"."""

    actor: str = ""
    verb: str = ""
    object: str = ""
    outcome: str = ""

    def conditions(self) -> list[Any]:
        made: list[Any] = [Audit.actor == self.actor] if self.actor else []
        made += [Audit.verb == self.verb] if self.verb else []
        made += [col(Audit.object).contains(self.object, autoescape=True)] if self.object else []
        made += [Audit.allowed == (self.outcome == "done")] if self.outcome else []
        return made


def audit_page(cat: Catalog, wanted: AuditFilter, at: int = 0) -> tuple[list[Audit], int]:
    """A page of the audit, newest first, and how many rows match."""
    if not may(cat, "admin"):
        check(cat, "admin", "audit")  # looking is not written down, being refused is
    asked = wanted.conditions()
    with cat.session() as session:
        total = session.exec(select(func.count()).select_from(Audit).where(*asked)).one()
        rows = session.exec(select(Audit).where(*asked).order_by(col(Audit.id).desc()).offset(at).limit(PAGE)).all()
    return list(rows), total


def audit_csv(cat: Catalog, wanted: AuditFilter) -> bytes:
    """The newest matching rows of the audit, as a file. Cells that a spreadsheet would run are quoted."""
    out = io.StringIO()
    lines = csv.writer(out)
    lines.writerow(["id", "time", "actor", "verb", "object", "allowed"])
    with cat.session() as session:
        found = session.exec(select(Audit).where(*wanted.conditions()).order_by(col(Audit.id).desc()).limit(MOST))
        for row in found:
            cells = (row.actor, row.verb, row.object)
            lines.writerow([row.id, row.created, *(_inert(cell) for cell in cells), row.allowed])
    return out.getvalue().encode()


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def actors(cat: Catalog) -> list[dict[str, Any]]:
    """Everybody the audit knows: {"actor", "reads", "changes", "refused", "last"}, the latest first."""
    refused = func.sum(case((col(Audit.allowed).is_(False), 1), else_=0))
    reads = func.sum(case((col(Audit.verb).in_(["read", "request", "sign in", "sign out"]), 1), else_=0))
    changes = func.sum(
        case((col(Audit.verb).in_(["propose", "write", "admin"]) & col(Audit.allowed).is_(True), 1), else_=0)
    )
    with cat.session() as session:
        found = session.exec(
            select(Audit.actor, reads, changes, refused, func.max(Audit.created)).group_by(Audit.actor)
        )  # type: ignore[call-overload]
        names = ("actor", "reads", "changes", "refused", "last")
        rows: list[dict[str, Any]] = [dict(zip(names, row)) for row in found]
    return sorted(rows, key=lambda row: row["last"], reverse=True)


def choices(cat: Catalog) -> tuple[list[str], list[str]]:
    """Actors and verbs that the audit has."""
    with cat.session() as session:
        names = session.exec(select(Audit.actor).distinct().order_by(Audit.actor)).all()
        verbs = session.exec(select(Audit.verb).distinct().order_by(Audit.verb)).all()
    return list(names), list(verbs)


def places(cat: Catalog) -> list[dict[str, Any]]:
    """Where runs may happen: this machine, the home's server, the team's. {"place", "state", "address", "pools", "note"}"""
    from flows.prefect_api import team_endpoint
    from flows.server import facts

    found = [{"place": "inline", "state": "ready", "address": platform.node(), "pools": {},
              "note": f"in the process that asks; {os.cpu_count()} cores"}]  # fmt: skip
    home = facts(cat)
    if home["running"]:
        note = f"{home['active_runs'] or 0} active runs; stops after {home['idle_minutes']:g} min without use; log {home['log']}"
        found.append({"place": "home", "state": "healthy" if home["healthy"] else "does not answer", "address": home["url"],
                      "pools": home["workers"], "note": note})  # fmt: skip
    else:
        found.append({"place": "home", "state": "not running", "address": "", "pools": {},
                      "note": "strata server start, or the first --on home, starts it"})  # fmt: skip
    team = team_endpoint()
    if team is None:
        return [*found, {"place": "team", "state": "not set up", "address": "", "pools": {},
                         "note": "PREFECT_API_URL names the team's Prefect server"}]  # fmt: skip
    return [*found, {"place": "team", "address": team.url, **_pools(team)}]


def _pools(at: Any) -> dict[str, Any]:
    """Pools of a Prefect server with their workers that sent a heartbeat lately."""
    from flows.prefect_api import call, healthy, online_workers

    if not healthy(at):
        return {"state": "does not answer", "pools": {}, "note": "start it, or look at its address and login"}
    try:
        held = call(at, "POST", "/work_pools/filter", {}, timeout=5.0)
    except StrataError as error:
        return {"state": "refuses", "pools": {}, "note": error.message}
    pools = {pool["name"]: online_workers(at, pool["name"]) for pool in held}
    paused = [pool["name"] for pool in held if pool.get("is_paused")]
    return {"state": "healthy", "pools": pools, "note": f"paused: {', '.join(paused)}" if paused else ""}


def versions() -> dict[str, str]:
    """What runs here."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def storage(cat: Catalog) -> dict[str, Any]:
    """Bytes of the catalog where they are files of this machine: {"folders": {name: bytes}, "tables": {dataset: bytes}}."""
    settings = cat.settings
    folders = {"locks": settings.locks, "states": settings.states, "journal": settings.journal,
               "logs": settings.home / "logs"}  # fmt: skip
    sizes = {name: _size(path) for name, path in folders.items()}
    if settings.database.startswith("sqlite:///"):
        base = settings.database.removeprefix("sqlite:///")
        sizes["metadata"] = sum(_size(Path(base + end)) for end in ("", "-wal", "-shm"))
    if "://" in settings.tables:
        return {"folders": sizes, "tables": {}}
    tables = {held.name: _size(Path(cat.table_uri(held))) for held in cat.datasets(unpublished=True) if held.uri}
    return {"folders": sizes, "tables": dict(sorted(tables.items(), key=lambda item: -item[1]))}


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(entry.stat().st_size for entry in _files(str(path)))


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    """Every file below a folder; what vanishes meanwhile is not counted."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry
    except FileNotFoundError:
        return
