"""The lanes of the home page: one a tier, one card a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from catalog.schema import TIERS
from ui.web.components.figures import ago, compact, count, share
from ui.web.components.markup import Markup, h, link
from ui.web.components.parts import TIER_NAMES, bar, caps, chip, licence_chips
from ui.web.queries.flow import Flow
from ui.web.queries.overview import Card

MEANING = {
    "L0": "archive with full provenance",
    "L1": "clean, uniform, deduplicated",
    "L2": "chosen by models",
    "L3": "rewritten or synthesised",
    "L4": "validated and structured",
}
WIDE = 6
"""From this many cards on, a lane is two cards wide."""


MOST = 48
"""Cards of a lane; of more, the search says which."""


def lanes(cards: Sequence[Card], filtered: bool, flows: Mapping[tuple[str, str], Flow] | None = None) -> Markup:
    """Tiers side by side, with what flows from one into the next; a lane without cards is narrow and says how to fill it."""
    held = {tier: [card for card in cards if card.dataset.tier == tier] for tier in TIERS}
    widths = " ".join(
        "minmax(0,0.62fr)" if not found else f"minmax(0,{2 if len(found) >= WIDE else 1.05}fr)"
        for found in held.values()
    )
    into = flows or {}
    made = [_lane(tier, found, filtered, into) for tier, found in held.items()]
    return h("div", made, cls="sx-lanes", style=f"grid-template-columns:{widths}")


def _lane(tier: str, cards: list[Card], filtered: bool, flows: Mapping[tuple[str, str], Flow]) -> Markup:
    rows = sum(card.version.rows for card in cards)
    head = h(
        "div",
        h(
            "div",
            caps(f"{tier} {TIER_NAMES[tier]}"),
            h(
                "span",
                f"{len(cards)} · {compact(rows)} rows" if cards else "",
                cls="sx-faint sx-num",
                style="font-size:12px",
            ),
            cls="sx-between",
        ),
        h("div", MEANING[tier], cls="sx-sub"),
        [_flow(source, tier, flows[source, tier]) for source in TIERS if (source, tier) in flows],
        cls="sx-lane-head",
        style=f"--lane:var(--sx-{tier.lower()})",
    )
    body = h("div", [_card(card) for card in cards[:MOST]], cls="sx-cards") if cards else _none(tier, filtered)
    rest = (
        h("div", f"{count(len(cards) - MOST)} more: search or filter to see them", cls="sx-faint sx-rest")
        if len(cards) > MOST
        else None
    )
    return h("section", head, body, rest, cls="sx-lane")


def _flow(source: str, tier: str, flow: Flow) -> Markup:
    """What came in from another tier: the share of rows kept as a bar from its colour to ours, and of tokens in words."""
    part = flow.rows_kept / flow.rows_in if flow.rows_in else 0.0
    some = f" in {flow.counted} of {flow.datasets} datasets" if flow.counted < flow.datasets else ""
    tokens = (
        f", {share(flow.tokens_kept, flow.tokens_in)} of {compact(flow.tokens_in)} tokens{some}" if flow.counted else ""
    )
    rows = f" of {compact(flow.rows_in)} rows"
    fill = (
        f"width:{100 * part:.1f}%;background:linear-gradient(90deg,var(--sx-{source.lower()}),var(--sx-{tier.lower()}))"
    )
    words = f"{source} to {tier}: {share(flow.rows_kept, flow.rows_in)}{rows} kept{tokens}"
    return h(
        "div",
        h("div", h("i", style=fill), cls="sx-bar", role="img", aria_label=words),
        h("div", f"{source} → ", h("b", share(flow.rows_kept, flow.rows_in)), rows, tokens),
        cls="sx-flow", title=f"{words}; {flow.datasets} datasets",
    )  # fmt: skip


def _none(tier: str, filtered: bool) -> Markup:
    if filtered:
        return h("div", "no match", cls="sx-lane-none")
    command = "strata ingest FILE --as NAME" if tier == "L0" else f"strata promote NAME --to {tier}"
    return h("div", h("div", "No datasets"), h("code", command), cls="sx-lane-none")


def _card(card: Card) -> Markup:
    dataset, version = card.dataset, card.version
    amount = (card.tokens, "tokens") if card.tokens is not None else (version.statistics.get("chars"), "chars")
    head = h(
        "div",
        h("span", dataset.name, cls="sx-name sx-cut"),
        h("span", f"v{version.number}", cls="sx-mono sx-faint"),
        cls="sx-between",
    )
    sizes = h(
        "div",
        h("span", h("b", compact(version.rows)), "rows", title=count(version.rows)),
        h("span", h("b", compact(amount[0])), amount[1], title=count(amount[0])),
        cls="sx-pair",
    )
    chips = [chip(dataset.kind), chip(dataset.role, "accent") if dataset.role else None, *licence_chips(card.licences)]
    foot = h("div", h("span", _columns(card)), h("span", ago(version.created)), cls="sx-between sx-foot")
    return h(
        "a",
        head,
        sizes,
        h("div", chips, cls="sx-wrap"),
        _kept(card),
        foot,
        cls="sx-card",
        title=dataset.note or None,
        **link("dataset", ref=dataset.name),
    )


def _columns(card: Card) -> str:
    languages = sorted(card.languages.items(), key=lambda item: -item[1])
    named = ", ".join(name for name, _ in languages[:3]) + (f" +{len(languages) - 3}" if len(languages) > 3 else "")
    columns = f"{len(card.columns)} column{'s' if len(card.columns) != 1 else ''}" if card.columns else "no columns yet"
    return f"{columns} · {named}" if named else columns


def _kept(card: Card) -> Markup | None:
    if card.kept is None:
        return None
    return h(
        "div",
        bar(card.kept),
        h("span", f"{share(card.version.rows, card.parent_rows)} of {card.dataset.parent}"),
        cls="sx-kept",
    )
