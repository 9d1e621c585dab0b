"""A trained checkpoint, followed back: its trials, the locks it was trained on, what its ledger says it was served, the
datasets and licences behind it.

strata trace model:pretrain-v1-1m-8f31c2aa-s0
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlmodel import select

from catalog.access import check
from catalog.errors import NotFound
from catalog.meta.models import Edge, Trial
from catalog.mixes.lock import find_mix, load_lock

if TYPE_CHECKING:
    from catalog.catalog import Catalog

PREFIX = "model:"


def trace_model(cat: Catalog, name: str) -> dict[str, Any]:
    """{"model", "folder", "trials", "mixes", "ledger", "datasets"} of a checkpoint, by the name its trials gave it.

    A mix holds its lock's digest and the parts with their licences; `datasets` unites them over all mixes. `ledger` holds
    the runs that have the model's name or that a trial named as its ledger's; `other_runs` the mixes' other ones.
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
    ledger, others = _ledger(cat, name, [mix["mix"] for mix in mixes])
    return {
        "model": name,
        "folder": str(folder) if folder.is_dir() else None,
        "trials": [trial.model_dump(exclude={"weights", "digest"}) for trial in held],
        "mixes": mixes,
        "ledger": ledger,
        "other_runs": others,
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


def _ledger(cat: Catalog, name: str, refs: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The model's runs in the ledgers of its mixes, and the names of the runs that are not known to be its own."""
    from catalog.pull.ledger import audit, read_run
    from catalog.pull.ledger_columns import by_source, left, newest

    with cat.session() as session:
        same = select(Edge.source).where(Edge.target == f"{PREFIX}{name}", Edge.verb == "train")
        told = {source for source in session.exec(same) if source.startswith("run:")}
    found, others, seen = [], [], set()
    for ref in refs:
        folder = cat.settings.home / "ledger" / ref
        runs = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        mine = [run for run in runs if run == name or f"run:{ref}/{run}" in told]
        others += [f"{ref}/{run}" for run in runs if run not in mine]
        for run in mine:
            reader = newest(cat, cat.mix(ref), run)  # a run may go on under a revision, which then tells all of it
            if (reader.ref, run) in seen:
                continue
            seen.add((reader.ref, run))
            table = read_run(reader, run)
            facts = audit(reader, table)
            steps, attempts = (table.column(column).to_numpy() for column in ("step", "attempt"))
            found.append({
                "mix": reader.ref, "run": run, "steps": len(set(steps.tolist())),
                "last_step": int(steps.max()) if len(steps) else None, "attempts": len(set(attempts.tolist())),
                "samples": facts["samples"], "records": facts["records"],
                "lost": len(facts["lost"]), "repeated": len(facts["repeated"]),
                "parts": left(reader, run), "sources": by_source(reader, run),
            })  # fmt: skip
    return found, others


def _start(folder: Any) -> str | None:
    """The model that a proxy run went on from."""
    import orjson

    path = folder / "run.json"
    if not path.is_file():
        return None
    return orjson.loads(path.read_bytes())["recipe"].get("start") or None
