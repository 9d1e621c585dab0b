"""Publish a mix: side files first, then one metadata transaction; the Mix row is the commit."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from catalog.errors import Busy, NameTaken, Refused
from catalog.meta.models import Edge, Mix, Name, Run, new_id, now
from catalog.mixes.lock import Draft, draft, look_up
from catalog.mixes.origins import origins_line, refuse_unexpected
from catalog.mixes.outlook import refusal, repetition
from catalog.mixes.reads import advice
from catalog.mixes.spec import Spec, load_spec
from catalog.mixes.stages import plan
from catalog.mixes.verdicts import refuse_blocked
from catalog.pull import stored
from catalog.pull.rowset import save

if TYPE_CHECKING:
    from pathlib import Path

    from catalog.catalog import Catalog


def preview(cat: Catalog, spec: str | Path | dict[str, Any] | Spec) -> dict[str, Any]:
    """What publishing would lock, without writing anything.

    `refused`: why publishing would refuse; where caps are exceeded, `shortfall` says of each part by how much.
    """
    found, refused = look_up(cat, load_spec(spec)), []
    planned = plan(found.spec, found.supplies, refused)
    if refused:
        return refusal(cat, found.spec, found.parts, found.supplies, planned, refused)
    made = draft(cat, found.spec, found)
    try:
        refuse_blocked(made.lock)
        refuse_unexpected(made.lock)
    except Refused as error:
        refused.append(str(error))
    held = summary(made.lock)
    held["parts"] = [{**part, "shortfall": 0} for part in held["parts"]]
    return {**held, "refused": refused, **advice(cat, made.lock, made.layout)}


def summary(lock: dict[str, Any]) -> dict[str, Any]:
    """A lock in the few lines that people read."""
    rows = [
        {
            "part": f"{part['dataset']}@v{part['version']}",
            "where": part["where"],
            "rows": part["rows"]["rows"],
            **served,
            "repeated": twice,
        }
        for part, served, twice in zip(lock["parts"], lock["totals"]["parts"], repetition(lock), strict=True)
    ]
    return {
        "name": lock["name"],
        "unit": lock["unit"],
        "samples": lock["totals"]["samples"],
        "tokens": lock["totals"]["tokens"],
        "order": lock["order"],
        **({"revises": lock["revises"][0]} if "revises" in lock else {}),
        "parts": rows,
        **({"stages": [_stage(stage) for stage in lock["stages"]]} if "stages" in lock else {}),
        **origins_line(lock),
        "licences": lock["licences"],
        "contamination": {
            "verdict": lock["contamination"]["verdict"],
            "unchecked": lock["contamination"]["unchecked"],
        },
        "order_digest": lock["order_digest"],
        "digest": lock["digest"],
    }


def _stage(stage: dict[str, Any]) -> dict[str, Any]:
    """A stage in one line: its parts with their share and the epochs of them that it takes."""
    parts = {name: f"{100 * held['share']:.4g}%, {held['epochs']:.3g} epochs" for name, held in stage["parts"].items()}
    return {**{name: stage[name] for name in ("name", "start", "samples", "tokens")}, "parts": parts,
            "order": stage.get("order", {})}  # fmt: skip


def publish(cat: Catalog, spec: str | Path | dict[str, Any] | Spec, actor: str | None = None) -> Mix:
    """Publish a spec as the next version of its name. The same lock again is the version that already has it."""
    started, parsed = now(), load_spec(spec)
    _check_name_free(cat, parsed.name)
    return record(cat, draft(cat, parsed), actor, started)


def record(cat: Catalog, made: Draft, actor: str | None, started: str) -> Mix:
    """Write the side files of a draft, then its mix, run and edges in one transaction."""
    refuse_blocked(made.lock)
    refuse_unexpected(made.lock)
    for rows in made.row_sets:
        save(rows, cat.settings.locks)
    for held in made.orders:
        stored.save(held, cat.settings.locks)
    name = made.lock["name"]
    for _ in range(5):  # two publishers may race for a version number; the loser takes the next
        with cat.session() as session:
            newest = session.exec(select(Mix).where(Mix.name == name).order_by(Mix.version.desc())).first()  # type: ignore[attr-defined]
            if newest and newest.digest == made.lock["digest"]:
                return newest
            mix = Mix(
                name=name,
                version=newest.version + 1 if newest else 1,
                spec=made.lock["spec"],
                lock=made.lock,
                digest=made.lock["digest"],
                actor=actor or cat.settings.actor,
                run_id=new_id(),
            )
            if session.get(Name, mix.name) is None:
                session.add(Name(name=mix.name, noun="mix"))
            session.add_all([mix, _run(mix, started), *_edges(mix)])
            try:
                session.commit()
                return mix
            except IntegrityError:
                session.rollback()
        _check_name_free(cat, name)
    raise Busy(f"mix {name} is being published by others; try again")


def _check_name_free(cat: Catalog, name: str) -> None:
    with cat.session() as session:
        held = session.get(Name, name)
    if held and held.noun != "mix":
        raise NameTaken(f"the name {name!r} is taken by a {held.noun}; choose another or drop it")


def _run(mix: Mix, started: str) -> Run:
    """The run that made the mix; it is in the same transaction, so a refused spec leaves no trace."""
    return Run(
        id=mix.run_id,
        verb="mix",
        key=f"mix:{mix.name}:{mix.digest}",
        status="done",
        actor=mix.actor,
        request={"spec": mix.spec},
        counts={"parts": len(mix.lock["parts"]), "samples": mix.lock["totals"]["samples"]},
        host=socket.gethostname(),
        pid=os.getpid(),
        started=started,
        finished=now(),
    )


def _edges(mix: Mix) -> list[Edge]:
    return [
        Edge(
            run_id=mix.run_id,
            verb="mix",
            source=f"{part['dataset']}@v{part['version']}",
            target=f"mix:{mix.name}@v{mix.version}",
            counts={"rows": part["rows"]["rows"], "samples": served["samples"]},
            details={"where": part["where"], "fingerprints": part["fingerprints"]},
        )
        for part, served in zip(mix.lock["parts"], mix.lock["totals"]["parts"], strict=True)
    ]
