"""What must be true to enter a tier (UltraData, arXiv:2602.09003), as code.

The tier says how a row was made, not how it scores. A contract is a list of clauses; each looks for its evidence and
returns None, or one line that names what is missing. Promotion is refused with every missing item named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from catalog.errors import Refused
from catalog.evals import evals as registered
from catalog.evals import stamp
from catalog.meta.models import ColumnRecord, Recipe

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Resolved


@dataclass(frozen=True)
class Evidence:
    """What a promotion can show.

    columns: the source's computed columns by alias; used: aliases that a drop rule or the selection reads;
    edits: names of edits; selects: whether the recipe chooses rows at all.
    """

    source: Resolved
    columns: dict[str, ColumnRecord]
    recipes: dict[str, Recipe]
    used: frozenset[str]
    edits: tuple[str, ...] = ()
    selects: bool = False
    evals: tuple[str, ...] = field(default=())  # references of every dataset of role eval, at its head
    stamps: tuple[str, ...] = field(default=())  # the same with what each declares as a leak
    parents: int = 0  # live rows that name a parent

    def outputs(self, *names: str, scorer: str | None = None) -> list[ColumnRecord]:
        """Columns whose output (or scorer) has one of the names."""
        return [c for c in self.columns.values() if c.output in names or (scorer and c.scorer == scorer)]


Clause = Callable[[Evidence], "str | None"]


def covers(evidence: Evidence, column: ColumnRecord) -> bool:
    """Whether a column has a finished state on every row of the source."""
    return column.covered >= evidence.source.dataset.rows


def _covered(evidence: Evidence, columns: list[ColumnRecord], what: str, remedy: str, *, used: bool) -> str | None:
    if not columns:
        return f"{what}: no such column; {remedy}"
    whole = [c for c in columns if covers(evidence, c)]
    if not whole:
        best = max(columns, key=lambda c: c.covered)
        return f"{what}: {best.alias} covers {best.covered} of {evidence.source.dataset.rows} rows; {remedy}"
    if used and not any(c.alias in evidence.used for c in whole):
        return f"{what}: no rule reads {' or '.join(sorted(c.alias for c in whole)[:4])}; add a drop rule"
    return None


def language(e: Evidence) -> str | None:
    """Language of every row."""
    return _covered(e, e.outputs("language"), "language", "score langid", used=False)


QUALITY_SCORERS = ("gopher_quality", "gopher_repetition", "fineweb_lines", "c4_lines", "text_length", "chat_shape")


def quality_rules(e: Evidence) -> str | None:
    """Verdicts of quality rules."""
    columns = [c for c in e.columns.values() if c.scorer in QUALITY_SCORERS]
    return _covered(e, columns, "quality rules", "score gopher_quality", used=True)


def exact_dedup(e: Evidence) -> str | None:
    """Exact duplicates grouped and all but one dropped."""
    return _covered(e, e.outputs("exact_dup_keep"), "exact deduplication", "score exact_dup", used=True)


def near_dedup(e: Evidence) -> str | None:
    """Near duplicates clustered and all but the keeper dropped."""
    return _covered(e, e.outputs("minhash_keep"), "near deduplication", "score minhash", used=True)


def pii(e: Evidence) -> str | None:
    """PII below the threshold of a rule, or masked."""
    if "mask_pii" in e.edits:
        return _covered(e, e.outputs(scorer="pii"), "PII", "score pii", used=False)
    return _covered(e, e.outputs(scorer="pii"), "PII", "score pii", used=True)


def secrets(e: Evidence) -> str | None:
    """Secrets below the threshold of a rule."""
    return _covered(e, e.outputs(scorer="secrets"), "secrets", "score secrets", used=True)


def from_l1(e: Evidence) -> str | None:
    """The source has passed L1."""
    tier = e.source.dataset.tier
    return None if tier == "L1" else f"source tier: {e.source.ref} is {tier}; promote it to L1 first"


def from_l0(e: Evidence) -> str | None:
    """The source is raw."""
    tier = e.source.dataset.tier
    return None if tier == "L0" else f"source tier: {e.source.ref} is {tier}; L1 is made from L0"


AGREEMENT = ("auc", "spearman", "kappa", "accuracy")


def model_quality(e: Evidence) -> str | None:
    """A model-based quality column with recorded agreement with people or a stronger judge."""
    judged = [c for c in e.columns.values() if any(measure in c.report for measure in AGREEMENT)]
    remedy = "score quality_linear with --target a labelled dataset, so that its cross-validated AUC is recorded"
    return _covered(e, judged, "model-based quality with recorded agreement", remedy, used=True)


def decontaminated(e: Evidence) -> str | None:
    """Checked against every registered eval, at its current version."""
    columns = e.outputs("eval_overlap")
    if not e.evals:
        return "decontamination: no dataset has role eval; ingest the evals in use with --role eval"
    wanted = set(e.stamps) or set(e.evals)
    fresh = [c for c in columns if _stamps(e, c, bool(e.stamps)) >= wanted]
    if columns and not fresh:
        seen = {item["ref"] for c in columns for item in _body(e, c).get("evals", [])}
        against = ", ".join(sorted(set(e.evals) - seen)) or "what the evals declare as leaks now"
        return f"decontamination: not checked against {against}; score eval_overlap again"
    return _covered(e, fresh, "decontamination", "score eval_overlap", used=True)


def text_unchanged(e: Evidence) -> str | None:
    """L2 selects and never edits."""
    return f"unchanged text: the recipe edits ({', '.join(e.edits)}); edits belong to L1 or L3" if e.edits else None


def selection_recipe(e: Evidence) -> str | None:
    """A recipe that says which rows were chosen."""
    return None if e.selects else "selection recipe: give --where, --select or a recipe with rules"


def _needs(what: str, remedy: str) -> Clause:
    def clause(e: Evidence) -> str | None:
        return _covered(e, e.outputs(what), what, remedy, used=False)

    clause.__name__ = what
    clause.__doc__ = f"A column {what} on every row."
    return clause


def _stamps(e: Evidence, column: ColumnRecord, exact: bool) -> set[str]:
    return {stamp(item) if exact else item["ref"] for item in _body(e, column).get("evals", [])}


def _body(e: Evidence, column: ColumnRecord) -> dict:
    held = e.recipes.get(column.fingerprint)
    return held.body if held else {}


def parents(e: Evidence) -> str | None:
    """Every row names the samples it was made of."""
    rows = e.source.dataset.rows
    if e.parents >= rows:
        return None
    remedy = "rows made of others come from `strata grade edits`; no operator here writes text"
    return f"parents: {e.parents} of {rows} rows name one; {remedy}"


def _value(what: str, remedy: str) -> Clause:
    """A clause for a column that has a value on every row: undefined is no evidence."""

    def clause(e: Evidence) -> str | None:
        columns, rows = e.outputs(what), e.source.dataset.rows
        most = max((c.states.get("value", 0) for c in columns), default=0)
        if not columns:
            return f"{what}: no such column; {remedy}"
        return None if most >= rows else f"{what}: a value on {most} of {rows} rows; {remedy}"

    clause.__name__ = what
    clause.__doc__ = f"A value of {what} on every row."
    return clause


_VERIFY = "the operators that verify and organize are not part of this release"
L3 = (
    parents,
    _value("generator", "score generator"),
    _value("semantic_check", "score semantic_check --target DATASET, the one that holds the parents"),
    pii,
    secrets,
    decontaminated,
)
CONTRACTS: dict[str, tuple[Clause, ...]] = {
    "L0": (),
    "L1": (from_l0, language, quality_rules, exact_dedup, near_dedup, pii, secrets),
    "L2": (from_l1, model_quality, decontaminated, text_unchanged, selection_recipe),
    "L3": L3,
    "L4": (*L3, _needs("verification", _VERIFY), _needs("verification_evidence", _VERIFY)),
}


def evidence_of(cat: Catalog, source: Resolved, *, used: set[str], edits: tuple[str, ...], selects: bool) -> Evidence:
    """Collect what the source can show."""
    from sqlmodel import select

    columns = {column.alias: column for column in cat.columns(source.dataset.name)}
    with cat.session() as session:
        prints = {column.fingerprint for column in columns.values()}
        recipes = {r.fingerprint: r for r in session.exec(select(Recipe).where(Recipe.fingerprint.in_(prints)))}  # type: ignore[attr-defined]
    held = registered(cat)
    evals, stamps = tuple(entry["ref"] for entry in held), tuple(stamp(entry) for entry in held)
    return Evidence(
        source, columns, recipes, frozenset(used), edits, selects, evals, stamps, _with_parents(cat, source)
    )


def _with_parents(cat: Catalog, source: Resolved) -> int:
    """Live rows that name a parent; 0 where the table has no place for one."""
    table = cat.lance(source.ref)
    if "parents" not in table.schema.names:
        return 0
    return table.count_rows("removed IS NULL AND array_length(parents) > 0")


def missing(tier: str, evidence: Evidence) -> list[str]:
    """Every clause of the tier's contract that the evidence does not satisfy."""
    return [item for clause in CONTRACTS[tier] if (item := clause(evidence)) is not None]


def require(tier: str, evidence: Evidence, name: str) -> None:
    """Raise `Refused` that names each missing item."""
    if items := missing(tier, evidence):
        raise Refused(f"{name} cannot enter {tier}; missing: " + "; ".join(items), missing=items)
