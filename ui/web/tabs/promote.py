"""Promote: choose a tier and a recipe, see what every rule would remove of all rows, then do it or propose it."""

from __future__ import annotations

from typing import Any

import streamlit as st
import yaml

from agents.proposals import propose
from agents.proposals.rows import Promote, promote_apply, promote_effect
from catalog import Catalog
from catalog.catalog import Resolved
from catalog.errors import StrataError
from catalog.refs import parse_ref
from catalog.schema import TIERS
from catalog.selections import selections
from ui.web.components import address, proposal, shell
from ui.web.components.figures import count
from ui.web.components.markup import Markup, h, link, live, url
from ui.web.queries import jobs

HERE = 50_000
"""Rows that are promoted while the person waits; more run beside the server."""


def draw(cat: Catalog, found: Resolved) -> None:
    above: list[str] = list(TIERS[TIERS.index(found.dataset.tier) + 1 :])
    if found.dataset.role == "eval":
        shell.show(shell.note("It protects an evaluation and is never part of training, so it is not promoted."))
        return
    if not above:
        shell.show(shell.note("It is in the highest tier already."))
        return
    given = _form(cat, found, above)
    if said := st.session_state.pop("promoted", None):
        live(said, "promoted")
    with shell.guarded():
        effect, lacks = _looked(cat, found, given)
        shell.show(proposal.effect(effect)) if effect else live(lacks or Markup(""), "lacks")
        _acts(cat, found, given, bool(effect))


def _form(cat: Catalog, found: Resolved, above: list[str]) -> dict[str, Any]:
    """Arguments of the verb, as the boxes say them; empty ones are left out."""
    boxes = st.columns([0.6, 1.2, 1.4, 1.9, 1.2], gap="small", vertical_alignment="bottom")
    with boxes[0]:
        to = address.choice("To", "to", above, above[0])
    with boxes[1]:
        known = _recipes(to, found.dataset.kind)
        recipe = address.choice("Recipe", "recipe", ["", *known], "", format_func=lambda name: name or "the usual one")
    with boxes[2]:
        mine = [
            f"{made.name}@v{made.version}"
            for made in selections(cat)
            if parse_ref(made.dataset).name == found.dataset.name
        ]
        chosen = address.choice(
            "Rows of", "select", ["", *mine], "", format_func=lambda name: name or "the whole dataset"
        )
    with boxes[3]:
        where = address.text_box("Only rows where", "where", placeholder="SQL, e.g. quality > 0.7")
    with boxes[4]:
        name = address.text_box("Name", "as", placeholder=f"{found.dataset.name}-{to.lower()}")
    variables = _values(known[recipe]) if recipe else {}
    given = {"recipe": recipe, "select": chosen, "where": where, "name": name, "variables": variables}
    return {"ref": found.ref, "to": to, **{key: value for key, value in given.items() if value}}


@st.cache_data(show_spinner=False)
def _recipes(to: str, kind: str) -> dict[str, dict[str, Any]]:
    """Shipped recipe for the tier and the kind -> its variables."""
    from flows.recipe import shipped

    read = {name: yaml.safe_load(path.read_text(encoding="utf-8")) for name, path in sorted(shipped().items())}
    return {name: body.get("variables") or {} for name, body in read.items()
            if body["to"] == to and kind in (body.get("kinds") or [kind])}  # fmt: skip


def _values(variables: dict[str, Any]) -> dict[str, Any]:
    """What the recipe's variables are set to; those left alone keep their value."""
    made = {}
    for box, (name, usual) in zip(st.columns(max(len(variables), 1), gap="small"), variables.items(), strict=False):
        text = box.text_input(name, key=f"variable_{name}", placeholder="needed" if usual is None else str(usual))
        if text.strip():
            made[name] = yaml.safe_load(text)
    return made


def _looked(cat: Catalog, found: Resolved, given: dict[str, Any]) -> tuple[dict[str, Any] | None, Markup | None]:
    """The dry run; or what it lacks, with the way to it."""
    try:
        return _effect(cat, str(cat.settings.home), found.dataset.lance_version, given), None
    except StrataError as error:
        needs = [step.scorer for step in _missing(cat, found, given)]
        asked = url("flows", dataset=found.dataset.name) + "".join(f"&scorer={name}" for name in needs)
        way = (
            h("a", f"Choose them on Flows: {', '.join(needs)}", cls="sx-link", href=asked, data_act=f"go:{asked}")
            if needs
            else None
        )
        return None, h("div", shell.refusal(error), way, cls="sx-stack")


@st.cache_data(show_spinner="trying every rule on all rows …", max_entries=32)
def _effect(_cat: Catalog, home: str, state: int, given: dict[str, Any]) -> dict[str, Any]:
    return promote_effect(_cat, Promote(**given))


def _missing(cat: Catalog, found: Resolved, given: dict[str, Any]) -> list[Any]:
    """Steps that the recipe's scores still need; none where the recipe itself cannot be read."""
    from flows import plan
    from flows.promote import DEFAULT_RECIPES
    from flows.recipe import load_recipe

    source = given.get("recipe") or DEFAULT_RECIPES.get((found.dataset.kind, given["to"]))
    try:
        names = (
            [item.scorer for item in load_recipe(source, given.get("variables")).scores if not item.target]
            if source
            else []
        )
        return [step for step in plan(cat, found.ref, names).steps if step.missing and step.asked] if names else []
    except StrataError:
        return []


def _acts(cat: Catalog, found: Resolved, given: dict[str, Any], whole: bool) -> None:
    """Promote now, or leave it to somebody else. Without the columns it scores first, beside the server."""
    now, later, _ = st.columns([1.2, 1, 3], gap="small")
    label = f"Promote to {given['to']}" if whole else "Score what it lacks, then promote"
    if now.button(label, type="primary", width="stretch", key="promote_go", **shell.writes()):
        if whole and found.dataset.rows <= HERE:
            _here(cat, given)
        else:
            jobs.start(cat, found.ref, _command(given))
            st.session_state["promoted"] = shell.note(h("span", "It runs beside the server: see ", _flows(), "."), "ok")
        st.rerun()
    if later.button("Propose", width="stretch", key="promote_later", **shell.writes("propose", disabled=not whole)):
        made = propose(cat, "promote", given)
        opened = h("a", f"proposal {made.id[:8]}", cls="sx-link", **link("assistant", proposal=made.id))
        st.session_state["promoted"] = shell.note(h("span", "Somebody else may approve it: ", opened, "."), "ok")
        st.rerun()


def _here(cat: Catalog, given: dict[str, Any]) -> None:
    try:
        with st.spinner("promoting …"):
            done = promote_apply(cat, Promote(**given))
    except StrataError as error:
        st.session_state["promoted"] = shell.refusal(error)
        return
    made = h("a", done["dataset"], cls="sx-link", **link("dataset", ref=done["dataset"]))
    said = "is up to date" if done["unchanged"] else f"keeps {count(done['kept'][0])} of {count(done['total'][0])} rows"
    st.session_state["promoted"] = shell.note(h("span", made, f" {said}."), "ok")


def _command(given: dict[str, Any]) -> tuple[str, ...]:
    """Arguments of `strata` for the same promotion."""
    words = ["promote", given["ref"], "--to", given["to"]]
    for name, option in (("recipe", "--recipe"), ("where", "--where"), ("select", "--select"), ("name", "--as")):
        words += [option, given[name]] if given.get(name) else []
    for name, value in (given.get("variables") or {}).items():
        words += ["--set", f"{name}={value}"]
    return tuple(words)


def _flows() -> Markup:
    return h("a", "Flows", cls="sx-link", **link("flows"))
