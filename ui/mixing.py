"""The verbs of mixes, trials and ledgers as HTTP and MCP say them: no file of the caller, and rights that a token gives.

Files named here lie where the service runs, so whoever names one needs the right to administer it, as for `ingest`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from catalog.access import check
from catalog.errors import BadInput, NotFound
from ui.shapes import mix_row

if TYPE_CHECKING:
    from catalog import Catalog

FILES = ("trace", "graph")
"""Parameters of mixers that name a file."""
ENDINGS = (".csv", ".json", ".jsonl", ".parquet", ".npy")


def list_mixes(cat: Catalog) -> list[dict[str, Any]]:
    """Every published mix, by name and version."""
    from sqlmodel import select

    from catalog.meta.models import Mix

    check(cat, "read", "mixes")
    with cat.session() as session:
        return [mix_row(mix) for mix in session.exec(select(Mix).order_by(Mix.name, Mix.version))]  # type: ignore[arg-type]


def mix_facts(cat: Catalog, ref: str) -> dict[str, Any]:
    """A mix's summary and its lock."""
    from catalog.mixes import find_mix, load_lock, summary

    check(cat, "read", ref)
    held = find_mix(cat, ref)
    name = f"{held.name}@v{held.version}"
    body = load_lock(cat, name)
    return {"ref": name, "digest": held.digest, **summary(body), "lock": body}


def weigh(
    cat: Catalog, spec: dict[str, Any], mixer: str, *, params: dict[str, Any] | None = None, trials: str | None = None,
    goal: str = "", better: str = "lower", seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Weights by a mixer, with the outcome it predicts and the interval. trials: "catalog" or "catalog:PATTERN"."""
    from flows.mixing import weigh as ask

    check(cat, "read", "mix")
    _no_file(cat, params, trials)
    return ask(cat, spec, mixer, params=params, trials=trials, goal=goal, better=better, seed=seed).to_json()


def front(
    cat: Catalog, spec: dict[str, Any], results: Sequence[str] = (), *, trials: str = "catalog",
    params: dict[str, Any] | None = None, **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Mixes that no other beats in two results at once, measured and, with a mixer, predicted."""
    from flows.front_report import front as ask

    check(cat, "read", "mix")
    _no_file(cat, params, trials)
    return ask(cat, spec, results, trials=trials, params=params, **options)


def _no_file(cat: Catalog, params: dict[str, Any] | None, trials: str | None) -> None:
    """A file where the service runs is for whoever may administer it."""
    named = [str(value) for name, value in (params or {}).items() if _is_file(name, value)]
    if trials is not None and trials.partition(":")[0] != "catalog":
        named.append(trials)
    if named:
        check(cat, "admin", f"file {named[0]}")


def _is_file(name: str, value: Any) -> bool:
    return isinstance(value, str) and value != "" and (name in FILES or "/" in value or value.lower().endswith(ENDINGS))


def split(cat: Catalog, spec: dict[str, Any], by: str, parts: list[str] | None = None) -> dict[str, Any]:
    """The spec with its parts cut by the values of a column."""
    from catalog.mixes.split import split_parts

    check(cat, "read", "mix")
    return split_parts(cat, spec, by, parts or None)


def publish(cat: Catalog, spec: dict[str, Any]) -> dict[str, Any]:
    """Freeze a spec by a lock."""
    made = cat.publish_mix(spec)
    return {"ref": f"{made.name}@v{made.version}", "digest": made.digest}


def revise(
    cat: Catalog, ref: str, at_sample: int, weights: Mapping[str, float], add: list[Any] | None = None,
    total: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Other weights or more parts from an index on, as the mix's next version."""
    from catalog.mixes import summary

    made = cat.revise_mix(ref, at_sample, dict(weights), add=list(add or []), total=total)
    return {"ref": f"{made.name}@v{made.version}", **summary(made.lock)}


def verify(cat: Catalog, ref: str, key: str | None = None) -> list[dict[str, Any]]:
    """Signatures of a mix, each with `valid`. key: the beginning of a fingerprint whose valid signature is demanded."""
    from catalog.mixes.sign import signatures

    check(cat, "read", ref)
    held = [{name: value for name, value in entry.items() if name != "file"} for entry in signatures(cat, ref)]
    if key is None:
        return held
    if len(key) < 16:
        raise BadInput(f"{key!r} is too short to name a key; give at least 16 digits of its fingerprint")
    mine = [entry for entry in held if entry["fingerprint"].startswith(key.lower())]
    if not any(entry["valid"] for entry in mine):
        raise BadInput(f"{ref} is not signed by the key {key[:16]}; its signer runs `strata mix sign {ref}`")
    return mine


def sign(cat: Catalog, ref: str, key: str) -> dict[str, Any]:
    """Sign with a private key that lies where the service runs."""
    from catalog.mixes.sign import sign as make

    check(cat, "admin", f"sign {ref}")
    return make(cat, ref, key)


def diff(cat: Catalog, a: str, b: str, scores: bool = False) -> dict[str, Any]:
    """Two dataset versions, or two mixes; of mixes with `scores` also how what they serve shifts."""
    held = cat.diff(a, b)
    if not scores:
        return held
    if "samples" not in held:
        raise BadInput(f"scores are compared of two mixes; {a} and {b} are datasets: leave scores out")
    from catalog.mixes.shifts import shifts

    return {**held, "shifts": shifts(cat, a, b)}


def compare_trials(cat: Catalog, mixes: list[str], **options: Any) -> list[dict[str, Any]]:
    """Runs of two mixes paired by seed; the first is the baseline."""
    from flows.trial_statistics import compare_trials as ask

    check(cat, "read", "trials")
    return ask(cat, mixes, **options)


def ledger_runs(cat: Catalog, ref: str) -> dict[str, Any]:
    """Runs that the home has a ledger of."""
    from catalog.pull.ledger import runs_of

    reader = cat.mix(ref)
    return {"mix": reader.ref, "runs": runs_of(reader)}


def ledger(cat: Catalog, ref: str, run: str) -> dict[str, Any]:
    """Whether a run lost or repeated samples, and what is left of each part; under the newest revision it went on with."""
    from collections import Counter

    from catalog.pull.ledger import audit, read_run
    from catalog.pull.ledger_columns import left

    reader = _recorded(cat, ref, run)
    records = read_run(reader, run)
    by_mix = Counter(records.column("mix").to_pylist())
    held = {"mix": reader.ref, "run": run, **audit(reader, records), "parts": left(reader, run)}
    return {**held, "records_by_mix": dict(sorted(by_mix.items()))} if len(by_mix) > 1 else held


def curves(cat: Catalog, ref: str, run: str, by: str = "part", bins: int = 20) -> list[dict[str, Any]]:
    """Mean loss of each part or source by stretch of steps."""
    from catalog.pull.ledger_columns import loss_curves

    return loss_curves(_recorded(cat, ref, run), run, by=by, bins=bins)


def _recorded(cat: Catalog, ref: str, run: str) -> Any:
    """The opened mix, or its newest revision under which the run went on. A run is a name, never a path."""
    from catalog.pull.ledger import NAME, runs_of
    from catalog.pull.ledger_columns import newest

    reader = cat.mix(ref)
    if not NAME.fullmatch(run):
        raise NotFound(
            "run", run, runs_of(reader), f"record it with a Ledger, or `strata ledger add {reader.ref} FILES`"
        )
    return newest(cat, reader, run)


def add_ledger(cat: Catalog, ref: str, files: list[str] | None = None, run: str | None = None) -> dict[str, Any]:
    """Ledgers as columns of the datasets; those of the home, or files where the service runs."""
    from catalog.pull.ledger_columns import add_ledger as make

    if files:
        check(cat, "admin", f"file {files[0]}")
    return make(cat, ref, files or (), run=run)


def served(cat: Catalog, sample: str) -> list[dict[str, Any]]:
    """Every time a run was served a sample."""
    from catalog.pull.ledger_columns import who

    check(cat, "read", "ledger")
    return who(cat, sample)
