"""A lock as people read it: what it serves, in which parts, stages and orders, and the digests it pins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ui.web.components.figures import compact, count, share
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import caps, chip, facts, joined, licence_chips, pairs, panel, table, tier
from ui.web.components.verdicts import contamination_chip, licence_chip

COLOURS = ("#2f7f79", "#b58a3c", "#4a6fa5", "#b5653a", "#5b8a5e", "#8a6fa5", "#8b8f94", "#a5506f")
MOST_STAGES = 16
"""Stages that are shown; of more, the first and the last."""
SHUFFLES = {"full": "shuffled", "none": "table order"}


def colour(at: int) -> str:
    return COLOURS[at % len(COLOURS)]


def swatch(at: int) -> Markup:
    return h("span", cls="sx-swatch", style=f"background:{colour(at)}")


def ref_of(mix: Any) -> str:
    return f"{mix.name}@v{mix.version}"


def strip(lock: Mapping[str, Any], signed: Sequence[Mapping[str, Any]]) -> Markup:
    """The facts that every view of a mix begins with. signed: its signatures."""
    totals = lock["totals"]
    tokens = h("span", compact(totals["tokens"]), title=_tokens_title(totals))
    return facts(
        [
            ("samples", count(totals["samples"])),
            ("tokens", tokens),
            ("parts", len(lock["parts"])),
            (
                "order",
                f"{order_words(lock['order'])}, seed {lock['seed']}" if "stages" not in lock else _in_stages(lock),
            ),
            ("licences", licence_chip(lock["licences"])),
            ("contamination", contamination_chip(lock["contamination"])),
            ("signature", signature_chip(signed)),
        ],
        large=3,
    )


def _tokens_title(totals: Mapping[str, Any]) -> str:
    if totals["tokens"] is not None:
        return count(totals["tokens"])
    return f"a part has no complete column {totals['token_column']!r}: strata score NAME token_count"


def _in_stages(lock: Mapping[str, Any]) -> str:
    number = len(lock["stages"])
    return f"{number} stage{'s' if number > 1 else ''}, seed {lock['seed']}"


def signature_chip(signed: Sequence[Mapping[str, Any]]) -> Markup:
    valid = [entry for entry in signed if entry["valid"]]
    if len(valid) < len(signed):
        return chip("a signature is not valid", "bad")
    if not valid:
        return chip("unsigned", title="legal, and said: strata mix sign")
    return chip(f"signed by {valid[0]['signer']}" + (f" +{len(valid) - 1}" if len(valid) > 1 else ""), "ok")


def order_words(order: Mapping[str, Any]) -> str:
    """An order as a sentence says it: shuffled; by chars, ascending, in 2 folds."""
    shuffle = order.get("shuffle", "full")
    plain = SHUFFLES.get(shuffle, f"shuffled in blocks of {count(order.get('size') or 1024)}")
    if not (column := order.get("by")):
        return plain
    if order.get("even"):
        return f"shuffled, with {column} spread evenly"
    if order.get("buckets"):
        return f"runs of {count(order['buckets'])} alike in {column}, shuffled"
    words = f"by {column}, {order.get('direction', 'ascending')}"
    if order.get("folds"):
        words += f", in {order['folds']} folds"
    if order.get("noise"):
        words += f", moved by up to {share(order['noise'])} of an epoch"
    return words


def order_title(order: Mapping[str, Any]) -> str:
    """What the words of an order mean."""
    if order.get("folds"):
        return "folds: sorted, then dealt into so many passes from easy to hard (DELT)"
    if order.get("noise"):
        return "noise: a soft curriculum, every row moves a little"
    if order.get("buckets"):
        return "buckets: rows of like value stand together, so that a batch needs little padding"
    if order.get("by"):
        return "each part is sorted by itself and woven with the others by weight"
    return (
        "which row comes when is drawn by the seed" if order.get("shuffle") != "none" else "as the table has the rows"
    )


def names(lock: Mapping[str, Any]) -> list[str]:
    """What stages and trials call the parts."""
    from catalog.mixes.spec import Part, part_name

    return [part_name(Part(**part)) for part in lock["spec"]["parts"]]


def parts(lock: Mapping[str, Any]) -> Markup:
    """One line a part, with the share it is served."""
    held = list(zip(lock["parts"], lock["totals"]["parts"], names(lock), strict=True))
    unit, shares = shares_of(lock)
    rows = [_part(at, *entry, shares[at]) for at, entry in enumerate(held)]
    heads = ["part", "filter", "rows", "served", "epochs", "tokens", f"share of {unit}", "licence"]
    body = table(heads, rows, numeric=(2, 3, 4, 5, 6), nowrap=(0,))
    coloured = [(at, name, shares[at]) for at, (_, _, name) in enumerate(held)]
    return h("div", share_bar(coloured, "margin-bottom:10px"), body)


def share_bar(coloured: Sequence[tuple[int, str, float]], style: str | None = None) -> Markup:
    """Shares side by side, each part in its colour."""
    pieces = [
        h("i", style=f"width:{100 * part:.3f}%;background:{colour(at)}", title=f"{name} {share(part)}")
        for at, name, part in coloured
    ]
    return h("div", pieces, cls="sx-shares", style=style)


def shares_of(lock: Mapping[str, Any]) -> tuple[str, list[float]]:
    """The share of each part in the unit of the mix: of its tokens where it counts tokens, else of its samples."""
    total, served = lock["totals"]["tokens"], lock["totals"]["parts"]
    if lock["unit"] == "tokens" and total:
        return "tokens", [item["tokens"] / total for item in served]
    return "samples", [item["share"] for item in served]


def _part(at: int, part: Mapping[str, Any], served: Mapping[str, Any], name: str, portion: float) -> tuple[Any, ...]:
    ref = f"{part['dataset']}@v{part['version']}"
    unknown = part["licences"]["unknown"]
    licences = part["licences"]["known"] | ({"unknown": unknown} if unknown else {})
    own = h("span", name, cls="sx-faint") if name != part["dataset"] else None
    weight = part.get("sample_weight")
    weighed = chip(f"loss × {weight['column']}", title="this column weighs its samples in the loss") if weight else None
    return (
        h(
            "div",
            swatch(at),
            h("a", ref, cls="sx-link", **link("dataset", ref=ref)),
            tier(part["tier"]),
            own,
            weighed,
            cls="sx-row",
        ),
        filter_text(part["where"]),
        count(part["rows"]["rows"]),
        count(served["samples"]),
        f"{served['epochs']:.3g}",
        compact(served["tokens"]),
        share(portion),
        h("div", licence_chips(licences), cls="sx-wrap"),
    )


def filter_text(where: str | None) -> Markup:
    return h("span", where, cls="sx-mono") if where else h("span", "all rows", cls="sx-faint")


def stages(lock: Mapping[str, Any]) -> Markup | None:
    """Stages one after the other: which indices, in which order, with which shares; None for a mix without."""
    if not lock.get("stages"):
        return None
    at = {name: place for place, name in enumerate(names(lock))}
    rows = shorten([_stage(stage, at, lock) for stage in lock["stages"]])
    heads = ["stage", "indices", "samples", "tokens", "order", "parts"]
    return h(
        "div", h("div", caps("stages"), style="margin-bottom:6px"), table(heads, rows, numeric=(2, 3), nowrap=(0, 1))
    )


def shorten(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The first and last lines of many."""
    if len(rows) <= MOST_STAGES:
        return rows
    between = h("span", f"{count(len(rows) - MOST_STAGES + 1)} more", cls="sx-faint")
    return [*rows[: MOST_STAGES - 4], (between, *[""] * (len(rows[0]) - 1)), *rows[-3:]]


def _stage(stage: Mapping[str, Any], at: Mapping[str, int], lock: Mapping[str, Any]) -> tuple[Any, ...]:
    order = stage.get("order") or lock["order"]
    held = [(at.get(name, 0), name, item) for name, item in stage["parts"].items()]
    words = [
        h(
            "span",
            swatch(place),
            f" {name} {share(item['share'])} ",
            h("span", f"{item['epochs']:.2g} epochs", cls="sx-faint"),
        )
        for place, name, item in held
    ]
    fresh = (
        h("div", chip("fresh epoch", title="every part begins anew and draws from all its rows"))
        if stage.get("fresh")
        else None
    )
    return (
        stage["name"],
        f"{count(stage['start'])}–{count(stage['start'] + stage['samples'] - 1)}",
        count(stage["samples"]),
        compact(stage["tokens"]),
        h("div", h("span", order_words(order), title=order_title(order)), fresh),
        h(
            "div",
            share_bar([(place, name, item["share"]) for place, name, item in held]),
            h("div", words, cls="sx-wrap sx-soft"),
            cls="sx-tight",
        ),
    )


def seals(lock: Mapping[str, Any]) -> Markup:
    """What the lock pins, to the digit."""
    rows = [
        ("lock", h("span", lock["digest"], cls="sx-digest")),
        ("order", h("span", lock["order_digest"], cls="sx-digest")),
        (
            "probes",
            f"{count(lock['probes'])} indices hashed, {len(lock['witnesses'])} compared with the store at every opening",
        ),
        ("algorithms", joined(lock["algorithms"].values())),
    ]
    prints = {
        f"{part['dataset']}.{name}": digest for part in lock["parts"] for name, digest in part["fingerprints"].items()
    }
    rows += [(name, h("span", digest, cls="sx-digest")) for name, digest in prints.items()]
    return panel("Digests", pairs(rows))
