"""A trained checkpoint, followed back: the locks it was trained on, its trials, the datasets and licences behind it.

strata trace model:pretrain-v1-1m-8f31c2aa-s0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmodel import select

from catalog.access import check
from catalog.errors import NotFound
from catalog.meta.models import Trial
from catalog.mixes.lock import find_mix, load_lock

if TYPE_CHECKING:
    from catalog.catalog import Catalog

PREFIX = "model:"


def trace_model(cat: Catalog, name: str) -> dict[str, Any]:
    """{"model", "folder", "trials", "mixes", "datasets"} of a checkpoint, by the name its trials gave it.

    A mix holds its lock's digest and the parts with their licences; `datasets` unites them over all mixes.
    """
    check(cat, "read", "trace")
    name = name.removeprefix(PREFIX)
    with cat.session() as session:
        held = session.exec(select(Trial).where(Trial.model == name).order_by(Trial.step)).all()  # type: ignore[arg-type]
        known = session.exec(select(Trial.model).where(Trial.model != "").distinct()).all()
    if not held:
        raise NotFound(
            "model", name, known, "a checkpoint has a name once a trial gave it one: see `strata trial list`"
        )
    mixes = [_mix(cat, ref) for ref in dict.fromkeys(trial.mix for trial in held)]
    datasets: dict[str, dict[str, Any]] = {}
    for mix in mixes:
        for part in mix["parts"]:
            seen = datasets.setdefault(part["dataset"], {"dataset": part["dataset"], "samples": 0, "licences": {}})
            seen["samples"] += part["samples"]
            seen["licences"] |= part["licences"]
    folder = cat.settings.home / "models" / name
    return {
        "model": name,
        "folder": str(folder) if folder.is_dir() else None,
        "trials": [trial.model_dump(exclude={"weights", "digest"}) for trial in held],
        "mixes": mixes,
        "datasets": list(datasets.values()),
        "start": _start(folder),
    }


def _mix(cat: Catalog, ref: str) -> dict[str, Any]:
    """What its lock says."""
    found, lock = find_mix(cat, ref), load_lock(cat, ref)
    parts = [
        {
            "dataset": f"{part['dataset']}@v{part['version']}",
            "where": part["where"],
            "rows": part["rows"]["rows"],
            "samples": served["samples"],
            "licences": part.get("licences", {}).get("known", {}),
        }
        for part, served in zip(lock["parts"], lock["totals"]["parts"], strict=True)
    ]
    verdict = lock["contamination"]["verdict"]
    return {"mix": ref, "lock": found.digest, "published": found.created, "contamination": verdict, "parts": parts}


def _start(folder: Any) -> str | None:
    """The model that a proxy run went on from."""
    import orjson

    path = folder / "run.json"
    if not path.is_file():
        return None
    return orjson.loads(path.read_bytes())["recipe"].get("start") or None
