"""Does a dataset have what a need asks for? Every answer says from which stored fact it comes; nothing is read for it.

Verdicts: met, partly (a slice of it has it, `where` says which), unknown (nobody measured, with what to run), against.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agents.catalog_cards import Card
from agents.need import NAMES, Need
from catalog.licences import USES, blocks

SCORE = {"met": 1.0, "partly": 0.75, "unknown": 0.4, "against": 0.0}
SHARE = 0.01
"""Share of the rows from which on a language counts as one of a multilingual dataset's."""
DATES = re.compile(r"(^|_)(date|dates|year|time|timestamp|created|published)(_|$)")


@dataclass(frozen=True)
class Check:
    """One demand, held against one dataset. rows: how many rows have it, by stored counts; None where nobody counted."""

    asked: str
    verdict: str
    why: str
    where: str | None = None
    rows: int | None = None


def checks_of(need: Need, card: Card) -> list[Check]:
    """Every demand of the need that can be checked, in a fixed order; the number of rows last, over what is left."""
    found: list[Check] = []
    if need.languages:
        found.append(_languages(need.languages, card))
    if need.multilingual:
        found.append(_multilingual(card))
    if need.use:
        found.append(_use(need.use, card))
    if need.kinds:
        good = card.dataset.kind in need.kinds
        found.append(
            Check(f"kind {' or '.join(need.kinds)}", "met" if good else "against", f"its kind is {card.dataset.kind}")
        )
    if need.tier:
        good = card.dataset.tier >= need.tier
        found.append(
            Check(f"tier {need.tier} or above", "met" if good else "against", f"it is in tier {card.dataset.tier}")
        )
    found += [_field(name, card) for name in need.fields]
    if need.chars != (None, None):
        found.append(_length(need.chars, card))
    if need.rows != (None, None):
        left = min([card.version.rows, *(check.rows for check in found if check.where and check.rows is not None)])
        found.append(_size(need.rows, left, card))
    return found


def fit(checks: list[Check]) -> float:
    """How much of what was asked is there, 0 to 1."""
    return sum(SCORE[check.verdict] for check in checks) / len(checks) if checks else 0.0


def quoted(values: list[str]) -> str:
    """Values of a list in SQL."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def _languages(wanted: list[str], card: Card) -> Check:
    asked = "language " + " and ".join(NAMES[code] for code in wanted)
    held = card.facet("language")
    if held is None:
        return Check(asked, "unknown", f"its languages are not measured: strata score {card.dataset.name} langid")
    alias = next((c.alias for c in card.columns if c.output == "language"), "language")
    there = {code: held[code] for code in wanted if held.get(code)}
    if not there:
        return Check(
            asked, "against", f"no row is in {' or '.join(NAMES[code] for code in wanted)} by column {alias}", rows=0
        )
    rows = sum(there.values())
    said = ", ".join(f"{NAMES[code]} {n:,}" for code, n in there.items())
    where = f"{alias} IN ({quoted(list(there))})" if rows < card.version.rows else None
    verdict = "met" if len(there) == len(wanted) else "partly"
    return Check(asked, verdict, f"{said} of {card.version.rows:,} rows by column {alias}", where, rows)


def _multilingual(card: Card) -> Check:
    held = card.facet("language")
    if held is None:
        why = f"its languages are not measured: strata score {card.dataset.name} langid"
        return Check("several languages", "unknown", why)
    real = [code for code, n in held.items() if code != "unknown" and n >= max(2, SHARE * card.version.rows)]
    said = ", ".join(f"{NAMES.get(code, code)} {held[code]:,}" for code in real[:5])
    return Check(
        "several languages", "met" if len(real) > 1 else "against", f"{len(real)} with 1 % of the rows or more: {said}"
    )


def _use(use: str, card: Card) -> Check:
    asked = f"{use} use ({USES[use]})"
    default, held = card.dataset.licence, card.licences()
    if "commercial" in use and card.dataset.use_class == "research":
        return Check(asked, "against", "its class of use is research", rows=0)
    if (sure := card.dataset.licence_verified) and (reason := blocks(sure, use)):
        return Check(asked, "against", f"licence verified as {sure}: {reason}", rows=0)
    reasons = {name: blocks(default if name == "unknown" else name, use) for name in held}
    good = [name for name, reason in reasons.items() if not reason]
    rows, all_rows = sum(held[name] for name in good), sum(held.values())
    said = ", ".join(f"{default or 'none' if name == 'unknown' else name} {held[name]:,}" for name in list(held)[:4])
    verified = (
        f"verified as {card.dataset.licence_verified}" if card.dataset.licence_verified else "declared, not verified"
    )
    if rows == all_rows and rows:
        return Check(asked, "met", f"licence {said} rows, {verified}", rows=rows)
    if good:
        known = [name for name in good if name != "unknown"]
        parts = [f"licence IN ({quoted(known)})"] if known else []
        where = " OR ".join([*parts, *(["licence IS NULL"] if "unknown" in good else [])])
        return Check(asked, "partly", f"{rows:,} of {all_rows:,} rows by licence: {said}, {verified}", where, rows)
    reason = next(iter(reasons.values()), "no licence is declared")
    unclear = any("not a licence this table knows" in r or "no licence" in r for r in reasons.values())
    return Check(
        asked, "unknown" if unclear else "against", f"licence {said} rows: {reason}", rows=0 if not unclear else None
    )


def _field(name: str, card: Card) -> Check:
    asked, looked = f"field {name}", card.looked
    if filled := card.filled.get(name, 0):
        verdict = "met" if filled == looked else "partly"
        return Check(asked, verdict, f"{filled} of {looked} rows looked at have {name}", f"{name} IS NOT NULL")
    others = [*card.filled, *(c.alias for c in card.columns)]
    if name == "created" and (alike := [other for other in others if DATES.search(other.casefold())]):
        return Check(asked, "partly", f"no {name}, but a field {alike[0]}")
    return Check(asked, "against", f"none of {looked} rows looked at has {name}")


def _length(wanted: tuple[int | None, int | None], card: Card) -> Check:
    import numpy as np

    low, high = wanted
    asked = f"texts of {_between(low, high)} characters"
    bins = np.array(card.version.statistics.get("length_bins") or [0])
    ends = np.expm1(np.arange(len(bins)) / 12)
    good = int(bins[(ends >= (low or 0) * 0.96) & (ends <= (high or np.inf))].sum())
    total = int(bins.sum())
    where = " AND ".join(
        part
        for part in (f"chars >= {low}" if low is not None else "", f"chars <= {high}" if high is not None else "")
        if part
    )
    why = f"about {good:,} of {total:,} rows by stored lengths"
    if good < total:
        return Check(asked, "partly" if good else "against", why, where if good else None, good)
    return Check(asked, "met", why, None, good)


def _size(wanted: tuple[int | None, int | None], left: int, card: Card) -> Check:
    low, high = wanted
    asked = f"{_between(low, high)} rows"
    narrowed = f", at most {left:,} of them as asked" if left < card.version.rows else ""
    why = f"{card.version.rows:,} rows{narrowed}"
    if low is not None and left < low:
        return Check(asked, "against", why, rows=left)
    if high is not None and left > high:
        return Check(asked, "partly", f"{why}; a selection can be smaller", rows=left)
    return Check(asked, "met", why, rows=left)


def _between(low: int | None, high: int | None) -> str:
    if low is not None and high is not None:
        return f"{low:,} to {high:,}"
    return f"at least {low:,}" if low is not None else f"at most {high:,}"
