"""Tables and bars of the admin page."""

from __future__ import annotations

from typing import Any

from catalog.meta.models import Audit, now
from ui.web.components.figures import DASH, ago, compact, count, number, plural, share, size, stamp
from ui.web.components.markup import Markup, act, h
from ui.web.components.parts import caps, chip, joined, pairs, panel, short, table

RIGHT_TONES = {"read": "", "propose": "", "write": "accent", "admin": "warn"}
STATES = {"ready": "ok", "healthy": "ok", "does not answer": "bad", "refuses": "bad"}
LEVELS = {"error": "bad", "warning": "warn", "note": ""}


def token_table(held: list[dict[str, Any]], last: dict[str, str]) -> Markup:
    """Live tokens first, each with the way to end it. last: actor -> when the audit last saw them."""
    rows = [
        (h("b", row["name"]), chip(row["verbs"], RIGHT_TONES.get(row["verbs"], "")), _life(row), stamp(row["created"]),
         ago(last.get(row["name"])), short(row["digest"], 12), _ending(row))
        for row in sorted(held, key=lambda row: (_over(row), row["created"]))
    ]  # fmt: skip
    return table(["name", "right", "state", "made", "last seen", "digest", "action"], rows, nowrap=(2, 3, 4, 6))


def _over(row: dict[str, Any]) -> bool:
    return bool(row["revoked"] or (row["expires"] and row["expires"] <= now()))


def _life(row: dict[str, Any]) -> Markup:
    if row["revoked"]:
        return chip(f"revoked {stamp(row['revoked'])}")
    if _over(row):
        return chip(f"expired {stamp(row['expires'])}")
    return chip(f"until {stamp(row['expires'])}" if row["expires"] else "live", "ok")


def _ending(row: dict[str, Any]) -> Markup | None:
    if _over(row):
        return None
    return h("span", "Revoke", cls="sx-step", aria_label=f"Revoke {row['name']}", **act("revoke", row["digest"]))


def actor_table(held: list[dict[str, Any]]) -> Markup:
    rows = [
        (h("b", row["actor"]), count(row["changes"]), count(row["reads"]),
         h("span", count(row["refused"]), cls="sx-bad" if row["refused"] else None), ago(row["last"]))
        for row in held
    ]  # fmt: skip
    return table(["actor", "changes", "reads", "refused", "last seen"], rows, numeric=(1, 2, 3), nowrap=(4,))


def place_table(held: list[dict[str, Any]]) -> Markup:
    rows = [
        (h("b", row["place"]), chip(row["state"], STATES.get(row["state"], "")), _workers(row["pools"]),
         h("span", row["address"] or DASH, cls="sx-mono"), h("span", row["note"], cls="sx-soft"))
        for row in held
    ]  # fmt: skip
    return table(["place", "state", "pools and workers", "address", "note"], rows, nowrap=(0, 1))


def _workers(pools: dict[str, int]) -> Markup | str:
    if not pools:
        return DASH
    return h(
        "span",
        [
            chip(f"{name}: {plural(live, 'worker')}" if live else f"{name}: no worker", "ok" if live else "warn")
            for name, live in pools.items()
        ],
        cls="sx-wrap",
    )


def endpoint_table(held: list[dict[str, Any]]) -> Markup:
    rows = [
        (h("b", row["name"]), row["model"], _revision(row), row["host"], _price(row), count(row["answered"]),
         compact(row["tokens"]), number(row["money"]))
        for row in held
    ]  # fmt: skip
    heads = ["endpoint", "model", "revision", "where", "a million tokens", "answers", "tokens", "paid"]
    return table(heads, rows, numeric=(5, 6, 7))


def _revision(row: dict[str, Any]) -> Markup:
    if row["pinned"]:
        return h("span", row["revision"] or "digest of its files", cls="sx-mono")
    return chip("unpinned", "warn", "answers of one day are not merged with those of another")


def _price(row: dict[str, Any]) -> str:
    if row["input_price"] is None and row["output_price"] is None:
        return "free" if row["local"] else "unknown"
    return f"{row['input_price'] or 0:g} in, {row['output_price'] or 0:g} out"


def budget_panels(held: list[dict[str, Any]]) -> Markup:
    """A panel a budget; a bar a limit: what is spent, then what is held by requests under way."""
    return h("div", [panel(None, h("div", row["name"], cls="sx-name"), [
        _bar(kind, row[kind]) for kind in ("money", "tokens", "requests")]) for row in held], cls="sx-budgets")  # fmt: skip


def _bar(kind: str, held: dict[str, Any]) -> Markup | None:
    limit, spent, waiting = held["limit"], held["spent"] or 0, held["held"] or 0
    said = number(spent) if kind == "money" else compact(spent)
    if limit is None:
        return h("div", caps(kind), h("span", f"{said} spent, no limit", cls="sx-soft"), cls="sx-between sx-limit")
    whole = limit or 1
    parts = (spent / whole, min(waiting / whole, max(0.0, 1 - spent / whole)))
    tone = "bad" if spent + waiting >= limit else "warn" if spent + waiting > 0.8 * limit else "accent"
    top = number(float(limit)) if kind == "money" else compact(limit)
    words = f"{said} of {top}, {share(min(spent, limit), limit)}" + (f", {number(waiting)} held" if waiting else "")
    fills = [
        h("i", style=f"width:{100 * min(part, 1):.2f}%;background:var(--sx-{tone});opacity:{1 - 0.5 * at}")
        for at, part in enumerate(parts)
    ]
    return h("div", h("div", caps(kind), h("span", words, cls="sx-soft sx-num"), cls="sx-between"),
             h("div", fills, cls="sx-bar", role="img", aria_label=f"{kind}: {words}"), cls="sx-limit")  # fmt: skip


def call_table(held: list[dict[str, Any]]) -> Markup:
    rows = [
        (row["purpose"] or DASH, row["model"], chip("unpinned", "warn") if row["unpinned"] else chip("pinned", "ok"),
         count(row["asked"]), count(row["answered"]),
         h("span", count(row["lost"]), cls="sx-warn" if row["lost"] else None, title="may have been billed, never answered"),
         compact(row["tokens"]), number(float(row["money"] or 0)), ago(row["last"]))
        for row in held
    ]  # fmt: skip
    heads = ["purpose", "model", "revision", "asked", "answered", "lost", "tokens", "paid", "last"]
    return table(heads, rows, numeric=(3, 4, 5, 6, 7), nowrap=(8,))


def audit_table(rows: list[Audit]) -> Markup:
    made = [
        (h("span", stamp(row.created), title=row.created), h("b", row.actor), row.verb, h("span", row.object, cls="sx-mono"),
         chip("done", "ok") if row.allowed else chip("refused", "bad"))
        for row in rows
    ]  # fmt: skip
    return table(["time (UTC)", "actor", "verb", "object", "outcome"], made, nowrap=(0, 2, 4))


def findings(held: list[Any]) -> Markup:
    if not held:
        return h("div", h("div", "The catalog is whole: metadata and tables agree."), cls="sx-note")
    order = {level: at for at, level in enumerate(LEVELS)}
    rows = [(chip(item.level, LEVELS[item.level]), h("b", item.object), item.message)
            for item in sorted(held, key=lambda item: order[item.level])]  # fmt: skip
    return table(["level", "object", "finding"], rows, nowrap=(0,))


def sizes(held: dict[str, Any], limit: int = 12) -> Markup:
    """Bytes by folder, and of the largest tables."""
    tables = list(held["tables"].items())
    whole = sum(held["tables"].values())
    listed = [(name, size(bytes_)) for name, bytes_ in tables[:limit]]
    if len(tables) > limit:
        listed.append((f"{len(tables) - limit} more", size(sum(bytes_ for _, bytes_ in tables[limit:]))))
    first = pairs([("tables", size(whole) if tables else "in an object store"),
                   *((name, size(bytes_)) for name, bytes_ in held["folders"].items())], numbers=True)  # fmt: skip
    return h("div", panel("Storage", first), panel("Largest tables", pairs(listed, numbers=True)) if listed else None,
             cls="sx-halves")  # fmt: skip


def about(facts: dict[str, Any], packages: dict[str, str]) -> Markup:
    return h(
        "div", panel("This catalog", pairs(facts.items())), panel("Versions", pairs(packages.items())), cls="sx-halves"
    )


def summary(words: list[Any]) -> Markup:
    return h("div", joined(words), cls="sx-soft")
