"""What is missing, in which order, and what it will cost. A plan runs nothing.

A scorer names the columns it reads; the planner adds the scorers that write them, gives every step a fingerprint (the
hash of its recipe), and counts the rows that have no value under it. Equal fingerprints mean equal values, whichever
dataset holds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from typing import Any

import orjson
from sqlmodel import select

from catalog.catalog import Catalog, Resolved
from catalog.errors import BadInput, Missing, NotFound, Refused
from catalog.evals import evals
from catalog.meta.models import ColumnRecord, Recipe
from catalog.plugins import Out, Scorer, get_scorer, plugins
from catalog.schema import field_names
from flows.aliases import with_aliases
from flows.devices import DTYPES
from flows.extending import extension
from flows.portion import count_missing, fits_on_rows, refuse_parts, refuse_too_many, sample_bound, selected


@dataclass(frozen=True)
class Step:
    """One scorer with everything that decides its values, ready to be sent to a worker as JSON."""

    scorer: str
    params: dict[str, Any]
    recipe: dict[str, Any]
    base: str  # fingerprint without the fitted population and the evals
    fingerprint: str
    inputs: dict[str, str]  # input name -> sample field or physical column
    outputs: dict[str, str]  # output name -> physical column
    aliases: dict[str, str]  # output name -> alias in this dataset
    state: str
    target: str | None = None
    evals: tuple[str, ...] = ()
    asked: bool = True
    missing: int = 0
    waits: tuple[str, ...] = ()  # state columns of the inputs: a row is computed when these say that its inputs are
    extends: dict[str, Any] | None = None  # columns under other evals to start from; see `flows/extending.py`
    widths: dict[str, int] = field(default_factory=dict)  # numbers a row of the vector outputs that a model decides

    @property
    def plugin(self) -> Scorer:
        return get_scorer(self.scorer)

    @property
    def outs(self) -> tuple[Out, ...]:
        """The outputs with the types they have under these parameters."""
        return self.plugin.sized(self.widths)


@dataclass(frozen=True)
class Plan:
    """Steps in order of execution for one dataset version. `sample`: at most that many rows; None: all.

    selection: reference of the selection whose rows are computed; `where` is its filter over the table.
    dtype: number format of the models in it, a part of their recipes.
    """

    ref: str
    rows: int
    steps: tuple[Step, ...]
    sample: int | None = None
    sample_below: str | None = None  # rows with a sample_id up to this one are in the sample
    selection: str | None = None
    where: str | None = None
    dtype: str | None = None

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
            own_fit = fits_on_rows(plugin)
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
    selection: str | None = None,
    aliases: dict[str, str] | None = None,
    refit: bool = False,
    device: str | None = None,
    dtype: str | None = None,
) -> Plan:
    """Plan `scorers` over a dataset. Raises one-line errors for unknown scorers, parameters, targets and kinds.

    dtype: for models; if not given, that of columns the dataset has, else what the device computes fast.
    """
    found = cat.resolve(ref)
    if not found.number or not found.dataset.rows:
        raise BadInput(f"dataset {found.dataset.name!r} has no published rows; `strata ingest` some first")
    if sample is not None and sample < 1:
        raise BadInput(f"a sample of {sample} rows computes nothing; give at least 1")
    held, where = selected(cat, found, selection) if selection else (None, None)
    below = sample_bound(cat, found, sample, where) if sample else None
    known = {column.physical: column for column in cat.columns(found.dataset.name)}
    given, taken = dict(params or {}), set()
    wanted = {name: _own(get_scorer(name), given, taken) for name in scorers}
    if unused := set(given) - taken:
        options = sorted({p for name in scorers for p in get_scorer(name).params.model_fields})
        raise BadInput(
            f"none of {', '.join(scorers)} has a parameter {sorted(unused)[0]!r}; there are: {', '.join(options) or 'none'}"
        )

    def steps_in(number_format: str | None) -> dict[str, Step]:
        made: dict[str, Step] = {}
        asking = _Asking(cat, found, target, known, refit, below, number_format)
        for name in scorers:
            _add(asking, get_scorer(name), wanted[name], made, asked=True)
        return made

    number_format = _number_format(scorers, device, dtype)
    steps = steps_in(number_format)
    if number_format and dtype in (None, "auto") and not _holds_a_model(steps, known):
        other = next(name for name in DTYPES if name != number_format)
        if _holds_a_model(before := steps_in(other), known):
            steps, number_format = before, other  # the columns that are there go on; a second format is asked for
    refuse_parts(cat, found, steps, known, sample, selection)
    refuse_too_many(found, steps)
    with cat.session() as session:
        bases = {r.fingerprint: r.base for r in session.exec(select(Recipe)) if r.base}
    named = with_aliases(found, list(steps.values()), known, aliases or {}, bases)
    made = Plan(found.ref, found.dataset.rows, tuple(named), sample, below, held, where, number_format)
    return replace(made, steps=tuple(replace(step, missing=count_missing(cat, made, step)) for step in named))


@dataclass(frozen=True)
class _Asking:
    """What is the same for all steps of one plan."""

    cat: Catalog
    found: Resolved
    target: str | None
    known: dict[str, ColumnRecord]
    refit: bool
    below: str | None
    dtype: str | None


def _number_format(scorers: Sequence[str], device: str | None, dtype: str | None) -> str | None:
    """The number format of the models among the scorers and what they build on; None where there is no model."""
    every = [get_scorer(name) for name in scorers]
    for scorer in every:
        every += [upstream for upstream in _upstream(scorer).values() if upstream not in every]
    if not any(scorer.cost == "gpu" for scorer in every):
        return None
    if dtype in DTYPES:
        return dtype
    from flows.devices import pick_device, pick_dtype

    try:
        return pick_dtype(pick_device(device), dtype)
    except Missing:  # a device of the machine that will run it
        return "bfloat16"


def _holds_a_model(steps: dict[str, Step], known: dict[str, ColumnRecord]) -> bool:
    models = [step for step in steps.values() if step.plugin.cost == "gpu"]
    return any(physical in known for step in models for physical in step.outputs.values())


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


def _add(asking: _Asking, scorer: Scorer, given: dict[str, Any], steps: dict[str, Step], *, asked: bool) -> Step:
    cat, found = asking.cat, asking.found
    kind = found.dataset.kind
    if scorer.kinds and kind not in scorer.kinds:
        raise BadInput(f"scorer {scorer.name} works on {', '.join(scorer.kinds)}; {found.dataset.name} is {kind}")
    model = scorer.parse_params({k: v for k, v in given.items() if k in scorer.params.model_fields})
    values = model.model_dump(mode="json")
    inputs, input_prints, waits = {}, {}, []
    swapped, values = _swapped(asking, scorer, values)
    for name in scorer.reads:
        if name in swapped:
            column = swapped[name]
            inputs[name], input_prints[name] = column.physical, column.fingerprint
            waits.append(column.state)
            continue
        upstream = _upstream(scorer).get(name)
        if upstream is None:
            if name not in field_names(kind):
                raise BadInput(f"scorer {scorer.name} reads the field {name!r}, which {kind} datasets lack")
            inputs[name], input_prints[name] = name, "field"
            continue
        meant = {**given, **values, **{scorer.swaps[k]: column.alias for k, column in swapped.items()}}
        forwarded = {k: v for k, v in meant.items() if k in upstream.params.model_fields}
        step = _add(asking, upstream, forwarded, steps, asked=False)
        inputs[name], input_prints[name] = step.outputs[name], step.fingerprint
        waits.append(step.state)
    for name in scorer.named_columns(model):
        inputs[name], input_prints[name], state = _named(asking, scorer, name, given, steps)
        waits += [state] if state else []
    for name in scorer.named_columns(model, fit_only=True):
        inputs[name], input_prints[name], _ = _named(asking, scorer, name, given, steps, held=True)
    values, served = _served(cat, values) if scorer.cost == "api" else (values, {})
    said = {k: v for k, v in values.items() if v is not None or k not in scorer.swaps.values()}
    if served:
        said = {k: v for k, v in said.items() if k not in ("endpoint", "budget", "as_of")}
    recipe = _recipe(cat, scorer, said, input_prints, asking.target)
    if "target" in recipe:
        recipe["target"] |= _target_columns(cat, scorer, values, recipe["target"]["ref"], swapped)
    if scorer.cost == "gpu":
        recipe["dtype"] = asking.dtype
    if served:
        recipe["model"] = served
    base = fingerprint({key: value for key, value in recipe.items() if key != "evals"})
    if scorer.pattern == "global" or fits_on_rows(scorer):
        recipe["population"] = _population(asking, scorer, base, partly=bool(waits))
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
        waits=tuple(dict.fromkeys(waits)),
        extends=extension(cat, scorer, recipe, asking.known) if scorer.extend and not asking.refit else None,
        widths=scorer.widths(scorer.parse_params(values)) if scorer.widths else {},
    )
    steps[digest] = step
    return step


def _named(
    asking: _Asking, scorer: Scorer, name: str, given: dict[str, Any], steps: dict[str, Step], *, held: bool = False
) -> tuple[str, str, str | None]:
    """Column, fingerprint and state of an input that a parameter names: a column of the dataset, else a scorer's output.

    held: it is learnt from as it is now, so its values count and not its recipe alone.
    """
    found = asking.found
    column = next((column for column in asking.known.values() if column.alias == name), None)
    if column is not None:
        print_ = f"{column.fingerprint}:{column.digest}" if held else column.fingerprint
        return column.physical, print_, column.state
    if name in field_names(found.dataset.kind):
        return name, "field", None
    writer = None if held else _writers().get(name)
    if writer is None:
        aliases = [column.alias for column in asking.known.values()]
        raise NotFound(f"column of {found.dataset.name}", name, aliases, f"scorer {scorer.name} reads it")
    upstream = get_scorer(writer)
    forwarded = {
        k: v for k, v in given.items() if k in upstream.params.model_fields and k not in scorer.params.model_fields
    }
    step = _add(asking, upstream, forwarded, steps, asked=False)
    return step.outputs[name], step.fingerprint, step.state


def _swapped(asking: _Asking, scorer: Scorer, values: dict[str, Any]) -> tuple[dict[str, ColumnRecord], dict[str, Any]]:
    """Input name -> the column that a parameter puts in its place; and the parameters, with what its recipe decides.

    A column made by the input's own scorer is that scorer under other parameters: they are taken over, so that a target
    is treated as the rows were. Any other column keeps its name in the parameters.
    """
    found: dict[str, ColumnRecord] = {}
    for name, parameter in scorer.swaps.items():
        alias, writer = values.get(parameter), _writers()[name]
        if not alias:
            continue
        column = next((column for column in asking.known.values() if column.alias == alias), None)
        if column is None:
            aliases = [c.alias for c in asking.known.values() if c.type.startswith("fixed_size_list")]
            raise NotFound(
                f"column of {asking.found.dataset.name}", alias, aliases, f"--param {parameter}=NAME is a column it has"
            )
        if not column.type.startswith("fixed_size_list"):
            raise BadInput(
                f"column {alias!r} of {asking.found.dataset.name} holds {column.type}, not vectors; name another"
            )
        found[name] = column
        if column.scorer == writer:
            with asking.cat.session() as session:
                recipe = session.get(Recipe, column.fingerprint)
            made_with = recipe.body["params"] if recipe else {}
            values = {**values, **{k: v for k, v in made_with.items() if k in values}, parameter: None}
    return found, values


def _target_columns(
    cat: Catalog, scorer: Scorer, values: dict[str, Any], target: str, swapped: dict[str, ColumnRecord]
) -> dict[str, str]:
    """Column -> recipe and values, of the columns that a fit reads of its target because no model makes them anew."""
    found = {}
    for name, parameter in scorer.swaps.items():
        if not (alias := values.get(parameter)):
            continue
        column = next((column for column in cat.columns(target) if column.alias == alias), None)
        if column is None:
            raise BadInput(f"target {target} has no column {alias}, which is compared with that of the rows; add it")
        if column.type != swapped[name].type:
            raise BadInput(f"{alias} is {column.type} in target {target}, {swapped[name].type} here; make them alike")
        found[alias] = f"{column.fingerprint}:{column.digest}"
    own = field_names(cat.resolve(target).dataset.kind)
    for alias in filter(None, (values.get(parameter) for parameter in scorer.target_columns)):
        column = next((column for column in cat.columns(target) if column.alias == alias), None)
        if column is None and alias not in own:
            raise BadInput(
                f"target {target} has no column {alias}, which {scorer.name} reads of it too; score or add it"
            )
        found[alias] = f"{column.fingerprint}:{column.digest}" if column else "field"
    return found


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
    if scorer.fit_on == "target":
        recipe["target"] = _target(cat, scorer, target)
    if scorer.pattern == "fit" and scorer.fit_on == "evals":
        recipe["evals"] = _evals(cat)
    return recipe


def _served(cat: Catalog, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The parameters with the day filled in that an unpinned model's answers count for; the model as recipes name it."""
    from flows.endpoints.registry import endpoint, today

    held = endpoint(cat, values["endpoint"])
    if held.pinned is None:
        values = {**values, "as_of": values["as_of"] or today()}
    return values, {"name": held.model, "revision": held.served(values["as_of"])}


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


def _evals(cat: Catalog) -> list[dict[str, Any]]:
    found = evals(cat)
    if not found:
        raise BadInput(
            "no dataset has role eval, so there is nothing to check against: `strata ingest FILE --as NAME --role eval`"
        )
    return found


def _population(asking: _Asking, scorer: Scorer, base: str, *, partly: bool) -> dict[str, str]:
    """The row set a global or fitted column belongs to; a frozen fit of this dataset is used again.

    partly: it reads columns that a sampled run computes for the sample alone, so the sample is a part of the row set.
    """
    found = asking.found
    assert found.version is not None
    if scorer.pattern == "fit" and not asking.refit:
        prints = [column.fingerprint for column in asking.known.values()]
        with asking.cat.session() as session:
            held = session.exec(select(Recipe).where(Recipe.base == base, Recipe.fingerprint.in_(prints))).first()  # type: ignore[attr-defined]
        if held is not None:
            return held.body["population"]
    sampled = {"sample": asking.below} if partly and asking.below else {}
    return {"digest": found.version.digest, **sampled}


def fingerprint(recipe: dict[str, Any]) -> str:
    """16 hex digits of the SHA-256 of the canonical JSON of a recipe."""
    return hashlib.sha256(orjson.dumps(recipe, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def step_to_json(step: Step) -> dict[str, Any]:
    return asdict(step)


def step_from_json(body: dict[str, Any]) -> Step:
    return Step(**{**body, "evals": tuple(body["evals"]), "waits": tuple(body["waits"])})
