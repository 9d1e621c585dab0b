"""What is missing, in which order, and what it will cost. A plan runs nothing.

A scorer names the columns it reads; the planner adds the scorers that write them, gives every step a fingerprint (the
hash of its recipe), and counts the rows that have no value under it. Equal fingerprints mean equal values, whichever
dataset holds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from typing import Any

import orjson
from sqlmodel import select

from catalog.catalog import Catalog, Resolved
from catalog.errors import BadInput, Refused
from catalog.meta.models import ColumnRecord, Recipe
from catalog.plugins import Scorer, get_scorer, plugins
from catalog.schema import field_names


@dataclass(frozen=True)
class Step:
    """One scorer with everything that decides its values, ready to be sent to a worker as JSON."""

    scorer: str
    params: dict[str, Any]
    recipe: dict[str, Any]
    base: str  # fingerprint without the fitted population
    fingerprint: str
    inputs: dict[str, str]  # input name -> sample field or physical column
    outputs: dict[str, str]  # output name -> physical column
    aliases: dict[str, str]  # output name -> alias in this dataset
    state: str
    target: str | None = None
    evals: tuple[str, ...] = ()
    asked: bool = True
    missing: int = 0
    refit: bool = field(default=False)

    @property
    def plugin(self) -> Scorer:
        return get_scorer(self.scorer)


@dataclass(frozen=True)
class Plan:
    """Steps in order of execution for one dataset version. `sample`: at most that many rows; None: all."""

    ref: str
    rows: int
    steps: tuple[Step, ...]
    sample: int | None = None
    sample_below: str | None = None  # rows with a sample_id up to this one are in the sample

    @property
    def todo(self) -> list[Step]:
        return [step for step in self.steps if step.missing]

    def stages(self) -> list[list[Step]]:
        """Passes over the rows: a global step alone; the rest by cost class, each as early as its inputs allow."""
        stages: list[list[Step]] = []
        home: dict[str, int] = {}
        for step in self.todo:
            plugin = step.plugin
            made_in = max((home[column] for column in step.inputs.values() if column in home), default=-1)
            own_fit = plugin.pattern == "fit" and plugin.fit_on == "self"
            first = made_in + 1 if (own_fit or plugin.pattern == "global") and made_in >= 0 else max(made_in, 0)
            at = next((i for i in range(first, len(stages)) if _joins(stages[i], step, i == made_in)), None)
            if at is None:
                stages.append([])
                at = len(stages) - 1
            stages[at].append(step)
            home |= {column: at for column in step.outputs.values()}
        return stages


def _joins(stage: Sequence[Step], step: Step, derived: bool) -> bool:
    plugin = step.plugin
    if plugin.pattern == "global" or any(held.plugin.pattern == "global" for held in stage):
        return False
    cheap = {"cpu"} if plugin.cost == "cpu" else {plugin.cost}
    return derived or {held.plugin.cost for held in stage} == cheap


def plan(
    cat: Catalog,
    ref: str,
    scorers: Sequence[str],
    *,
    params: dict[str, Any] | None = None,
    target: str | None = None,
    sample: int | None = None,
    aliases: dict[str, str] | None = None,
    refit: bool = False,
) -> Plan:
    """Plan `scorers` over a dataset. Raises one-line errors for unknown scorers, parameters, targets and kinds."""
    found = cat.resolve(ref)
    if not found.number or not found.dataset.rows:
        raise BadInput(f"dataset {found.dataset.name!r} has no published rows; `strata ingest` some first")
    if sample is not None and sample < 1:
        raise BadInput(f"a sample of {sample} rows computes nothing; give at least 1")
    known = {column.physical: column for column in cat.columns(found.dataset.name)}
    given, taken = dict(params or {}), set()
    steps: dict[str, Step] = {}
    for name in scorers:
        scorer = get_scorer(name)
        wanted = _own(scorer, given, taken)
        _add(cat, found, scorer, wanted, target, steps, known, asked=True, refit=refit)
    if unused := set(given) - taken:
        options = sorted({p for name in scorers for p in get_scorer(name).params.model_fields})
        raise BadInput(
            f"none of {', '.join(scorers)} has a parameter {sorted(unused)[0]!r}; there are: {', '.join(options) or 'none'}"
        )
    with cat.session() as session:
        bases = {r.fingerprint: r.base for r in session.exec(select(Recipe)) if r.base}
    named = _with_aliases(found, list(steps.values()), known, aliases or {}, bases)
    below = _sample_bound(cat, found, sample) if sample and sample < found.dataset.rows else None
    counted = tuple(_count_missing(cat, found, step, known, below) for step in named)
    return Plan(found.ref, found.dataset.rows, counted, sample, below)


def _own(scorer: Scorer, given: dict[str, Any], taken: set[str]) -> dict[str, Any]:
    """The given parameters this scorer or one it builds on understands."""
    mine = {key: value for key, value in given.items() if key in scorer.params.model_fields}
    taken |= set(mine)
    for upstream in _upstream(scorer).values():
        taken |= {key for key in given if key in upstream.params.model_fields}
    return {**given, **mine}


def _writers() -> dict[str, str]:
    return {out.name: scorer.name for scorer in plugins("scorer").values() for out in scorer.writes}


def _upstream(scorer: Scorer) -> dict[str, Scorer]:
    """Input name -> scorer that writes it, for inputs that are not sample fields."""
    fields = set().union(*(field_names(kind) for kind in ("text", "chat", "preference", "task")))
    found = {}
    for name in scorer.reads:
        if name in fields:
            continue
        writer = _writers().get(name)
        if writer is None:
            raise BadInput(
                f"scorer {scorer.name} reads {name!r}, which no scorer writes; install the plug-in that does"
            )
        found[name] = get_scorer(writer)
    return found


def _add(
    cat: Catalog,
    found: Resolved,
    scorer: Scorer,
    given: dict[str, Any],
    target: str | None,
    steps: dict[str, Step],
    known: dict[str, ColumnRecord],
    *,
    asked: bool,
    refit: bool,
) -> Step:
    kind = found.dataset.kind
    if scorer.kinds and kind not in scorer.kinds:
        raise BadInput(f"scorer {scorer.name} works on {', '.join(scorer.kinds)}; {found.dataset.name} is {kind}")
    model = scorer.parse_params({k: v for k, v in given.items() if k in scorer.params.model_fields})
    values = model.model_dump(mode="json")
    inputs, input_prints = {}, {}
    for name in scorer.reads:
        upstream = _upstream(scorer).get(name)
        if upstream is None:
            if name not in field_names(kind):
                raise BadInput(f"scorer {scorer.name} reads the field {name!r}, which {kind} datasets lack")
            inputs[name], input_prints[name] = name, "field"
            continue
        forwarded = {k: v for k, v in {**given, **values}.items() if k in upstream.params.model_fields}
        step = _add(cat, found, upstream, forwarded, target, steps, known, asked=False, refit=refit)
        inputs[name], input_prints[name] = step.outputs[name], step.fingerprint
    recipe = _recipe(cat, scorer, values, input_prints, target)
    base = fingerprint(recipe)
    if scorer.pattern == "global" or (scorer.pattern == "fit" and _fits_on_rows(scorer)):
        recipe["population"] = _population(cat, found, scorer, base, refit)
    digest = fingerprint(recipe)
    step = Step(
        scorer=scorer.name,
        params=values,
        recipe=recipe,
        base=base,
        fingerprint=digest,
        inputs=inputs,
        outputs={out.name: f"{out.name}__{digest[:8]}" for out in scorer.writes},
        aliases={},
        state=f"{scorer.name}__state__{digest[:8]}",
        target=(recipe.get("target") or {}).get("ref"),
        evals=tuple(item["ref"] for item in recipe.get("evals", [])),
        asked=asked or (digest in steps and steps[digest].asked),
    )
    steps[digest] = step
    return step


def _fits_on_rows(scorer: Scorer) -> bool:
    return scorer.fit_on == "self" or scorer.fit_uses_rows


def _recipe(
    cat: Catalog, scorer: Scorer, params: dict[str, Any], inputs: dict[str, str], target: str | None
) -> dict[str, Any]:
    recipe: dict[str, Any] = {"scorer": scorer.name, "version": scorer.version, "params": params, "inputs": inputs}
    for name in ("model", "tokenizer"):
        if name in params:
            from flows.models import model_revision

            recipe[f"{name}_revision"] = model_revision(params[name])
    if scorer.libraries:
        recipe["libraries"] = {name: _version_of(name) for name in scorer.libraries}
    if scorer.pattern == "fit" and scorer.fit_on == "target":
        recipe["target"] = _target(cat, scorer, target)
    if scorer.pattern == "fit" and scorer.fit_on == "evals":
        recipe["evals"] = _evals(cat)
    return recipe


def _version_of(package: str) -> str:
    try:
        return package_version(package)
    except PackageNotFoundError:
        return "absent"


def _target(cat: Catalog, scorer: Scorer, target: str | None) -> dict[str, str]:
    if not target:
        raise BadInput(f"scorer {scorer.name} needs a target dataset: --target NAME[@vN] (what good text looks like)")
    held = cat.resolve(target)
    if held.version is None or not held.version.rows:
        raise BadInput(f"target {target!r} has no published rows; ingest it first")
    if held.dataset.role == "eval":
        raise Refused(
            f"{target!r} has role eval and is protected: choose a train split as the target", missing=[target]
        )
    return {"ref": held.ref, "digest": held.version.digest}


def _evals(cat: Catalog) -> list[dict[str, str]]:
    found = []
    for dataset in cat.datasets():
        if dataset.role == "eval" and dataset.head:
            held = cat.resolve(dataset.name)
            found.append({"ref": held.ref, "digest": held.version.digest if held.version else ""})
    if not found:
        raise BadInput(
            "no dataset has role eval, so there is nothing to check against: `strata ingest FILE --as NAME --role eval`"
        )
    return found


def _population(cat: Catalog, found: Resolved, scorer: Scorer, base: str, refit: bool) -> dict[str, str]:
    """The row set a global or fitted column belongs to; a frozen fit of this dataset is used again."""
    assert found.version is not None
    if scorer.pattern == "fit" and not refit:
        with cat.session() as session:
            prints = session.exec(
                select(ColumnRecord.fingerprint).where(ColumnRecord.dataset_id == found.dataset.id)
            ).all()
            held = session.exec(select(Recipe).where(Recipe.base == base, Recipe.fingerprint.in_(prints))).first()  # type: ignore[attr-defined]
        if held is not None:
            return held.body["population"]
    return {"digest": found.version.digest}


def fingerprint(recipe: dict[str, Any]) -> str:
    """16 hex digits of the SHA-256 of the canonical JSON of a recipe."""
    return hashlib.sha256(orjson.dumps(recipe, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _with_aliases(
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
            if (alias in taken and not (replaces and step.plugin.pattern == "global")) or alias in own:
                if name in asked:
                    raise BadInput(f"column {alias!r} exists in {found.dataset.name}; choose another name with --as")
                alias = f"{alias}_{step.fingerprint[:4]}"
            taken[alias] = physical
            aliases[name] = alias
        done.append(Step(**{**asdict_shallow(step), "aliases": aliases}))
    return done


def asdict_shallow(step: Step) -> dict[str, Any]:
    return {name: getattr(step, name) for name in step.__dataclass_fields__}


def _sample_bound(cat: Catalog, found: Resolved, sample: int) -> str:
    """The sample is the rows with the smallest ids: ids are hashes, so it is uniform, and a larger one contains it."""
    import heapq

    smallest: list[str] = []
    for batch in cat.scan(found.ref, ["sample_id"], batch_rows=65536):
        smallest = heapq.nsmallest(sample, [*smallest, *batch.column("sample_id").to_pylist()])
    return smallest[-1]


def _count_missing(
    cat: Catalog, found: Resolved, step: Step, known: dict[str, ColumnRecord], below: str | None
) -> Step:
    from catalog.states import DONE
    from catalog.where import version_filter

    table = cat.lance(found.dataset.name)
    live = version_filter(found.dataset, found.dataset.head)
    parts = [f"({live})"] if live else []
    if below:
        parts.append(f"sample_id <= '{below}'")
    if step.state in table.schema.names and next(iter(step.outputs.values())) in known:
        done = ", ".join(str(code) for code in DONE)
        parts.append(f"({step.state} IS NULL OR {step.state} NOT IN ({done}))")
    missing = table.count_rows(" AND ".join(parts) if parts else None)
    return Step(**{**asdict_shallow(step), "missing": missing})


def step_to_json(step: Step) -> dict[str, Any]:
    return asdict(step)


def step_from_json(body: dict[str, Any]) -> Step:
    return Step(**{**body, "evals": tuple(body["evals"])})
