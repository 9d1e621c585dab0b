"""Every page and tab of the web face under axe-core, in both themes, at small size and on an empty home; and by keyboard."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.proposals import propose
from catalog import Catalog, grades
from catalog.testing import attach_columns, sentences, write_jsonl
from catalog.trials import add_trial
from flows import promote, score
from ui.web.entry import form

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium: apt-get install chromium"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
axe = pytest.importorskip("axe_playwright_python.base", reason="needs axe: pip install axe-playwright-python")

ROOT = Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
TURN = {"role": "user", "content": "Add two and two"}
RUBRIC = {"name": "clarity", "about": "How clear?", "scales": {"clarity": {"low": 1, "high": 5}},
          "labels": {"audience": {"of": ["children", "experts"]}}}  # fmt: skip
DATASET = {
    "card": "",
    "card of a chat": "ref=chats",
    "samples": "ref=web&tab=samples",
    "chats": "ref=chats&tab=samples",
    "pairs": "ref=pairs&tab=samples",
    "tasks": "ref=sums&tab=samples&maths=1",
    "columns": "ref=web&tab=columns&column=word_count",
    "clusters": "ref=web&tab=clusters",
    "map": "ref=web&tab=map",
    "explore": "ref=web&tab=explore",
    "insight": "ref=web&tab=insight",
    "select": "ref=web&tab=select",
    "promote": "ref=web&tab=promote",
    "versions": "ref=web&tab=versions",
    "lineage": "ref=web&tab=lineage",
}
VIEWS = {
    "home": "",
    "discover": "discover",
    "found": "discover?q=words+to+read",
    "found samples": "discover?over=samples&q=words&in=web",
    "compare": "discover?a=web&b=chats",
    **{f"dataset: {name}": f"dataset?{query}" for name, query in DATASET.items()},
    "campaigns": "grade",
    "new campaign": "grade?new=1",
    **{f"grade: {tab}": f"grade?campaign=clarity&as=ann&tab={tab}" for tab in ("queue", "results", "conflicts", "bulk", "setup")},
    "grade: pairs": "grade?campaign=duel&as=ann",
    "grade: stretches": "grade?campaign=stretches&as=ann",
    "mixes": "mixes",
    **{f"mix: {tab}": f"mixes?mix=blend&tab={tab}" for tab in ("served", "history", "trials", "diff", "train", "spec")},
    **{f"new mix: {view}": f"mixes?mix=new&view={view}" for view in ("preview", "weights", "fields")},
    "experiments": "experiments?other=blend@v1",
    "flows": "flows?dataset=web&scorer=langid",
    "intake": "intake?source=web&pick=web",
    "incidents": "incidents?q=blend",
    "sql": "sql?q=SELECT+source,count(*)+AS+rows+FROM+web+GROUP+BY+1",
    "assistant": "assistant",
    "proposals": "assistant?tab=proposals",
    **{f"admin: {tab}": f"admin?tab={tab}" for tab in ("tokens", "places", "spending", "audit", "health")},
}  # fmt: skip
EMPTY = {
    name: name
    for name in ("", "discover", "dataset", "grade", "grade?new=1", "mixes", "mixes?mix=new", "experiments", "flows",
                 "intake", "incidents", "sql", "assistant", "assistant?tab=proposals", "admin")
}  # fmt: skip
REFUSED = {"refused": "dataset?ref=gone", "refused within": "discover?a=gone&b=web"}
DAILY = ("home", "dataset: samples", "dataset: columns", "grade: queue", "mixes", "intake")
COLOURS = ["color-contrast", "link-in-text-block"]
"""Rules whose outcome depends on the theme."""
IDLE = """() => { const app = document.querySelector('.stApp');
  return app && app.getAttribute('data-test-script-state') === 'notRunning' && !document.querySelector('[data-testid=stSkeleton]'); }"""


def full(folder: Path) -> Path:
    """Datasets of every kind in two tiers, with scores, a map, a verdict, campaigns, a mix, trials and a proposal."""
    cat = Catalog.open(folder / "home")

    def ingest(name: str, rows: list[Any], **facts: Any) -> None:
        cat.ingest([write_jsonl(folder / f"{name}.jsonl", rows)], name, **facts)

    texts = [" ".join(sentences(300, seed=7)), *sentences(59)]
    ingest("web", [{"text": text, "url": f"https://example.org/{at}"} for at, text in enumerate(texts)],
           licence="MIT", owner="ada", note="crawled pages")  # fmt: skip
    ingest("chats", [{"messages": [TURN, {"role": "assistant", "content": f"That is {at}."}]} for at in range(12)])
    sides = {side: [{"role": "assistant", "content": f"{side}."}] for side in ("chosen", "rejected")}
    ingest("pairs", [{"prompt": [TURN], **sides}] * 3, licence="Apache-2.0")
    ingest("sums", [{"question": f"What is {at}?", "answer": f"It is $x = {at}$. #### {at}"} for at in range(8)],
           licence="MIT", role="eval")  # fmt: skip
    score(cat, "web", ["langid", "gopher_quality", "exact_dup", "token_count"])
    places = np.random.default_rng(0).standard_normal((2, 60)).astype(np.float32)
    attach_columns(cat, "web", {"pca_x": places[0], "pca_y": places[1]}, scorer="map_pca")
    attach_columns(cat, "web", {"clusters_kmeans": np.arange(60, dtype=np.int32) % 3}, scorer="kmeans")
    rules = {"few_words": "word_count < 30", "copies": "NOT exact_dup_keep", "near_copies": "NOT minhash_keep",
             "personal": "pii_count > 9", "secrets": "secrets_count > 0"}  # fmt: skip
    recipe = {"name": "short", "to": "L1", "kinds": ["text"], "scores": ["minhash", "pii", "secrets"],
              "drop": [{"name": name, "where": where} for name, where in rules.items()], "missing": "keep"}  # fmt: skip
    promote(cat, "web", "L1", recipe=recipe)
    cat.tag("web@v1", "first")
    for seed in (1, 2):
        cat.publish_mix({"name": "blend", "seed": seed, "parts": [{"dataset": "web"}, {"dataset": "chats"}]})
        for run in range(2):
            add_trial(cat, f"blend@v{seed}", {"loss/mean": 3 - seed / 2 + run / 50}, step=100, seed=run, tokens=256_000,
                      size=256_000, model=f"small-{seed}-{run}")  # fmt: skip
    grades.create(cat, "clarity", "web", RUBRIC, graders=2)
    grades.create(cat, "duel", "chats", {"name": "preference", "about": "Which is better?"}, pairs=2)
    grades.create(cat, "stretches", "web", {**RUBRIC, "labels": {}}, target="span")
    for who, value in (("ann", 2), ("bob", 5)):
        for _ in range(4):
            item = grades.next_item(cat, "clarity", who)
            assert item is not None
            grades.put(cat, item["item"], {"clarity": value, "audience": "experts"}, grader=who, seconds=7.0)
    propose(
        cat, "tag", {"ref": "web@v1", "label": "good"}, title="Name the first crawl", reasons=[{"text": "reads well"}]
    )
    return folder / "home"


@contextmanager
def serving(home: Path, log: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "ui/web/app.py", "--server.port", str(port),
               "--server.address", "127.0.0.1"]  # fmt: skip
    with log.open("wb") as told:
        server = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "STRATA_HOME": str(home)}, stdout=told, stderr=told
        )
        try:
            yield _await(f"http://127.0.0.1:{port}", server)
        finally:
            server.terminate()
            server.wait(60)


def _await(url: str, server: subprocess.Popen) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
            return url
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the web server did not start")


@pytest.fixture(scope="module")
def stocked(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("stocked")
    with serving(full(folder), folder / "log") as url:
        yield url


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bare")
    with serving(folder / "home", folder / "log") as url:
        yield url


@pytest.fixture(scope="module")
def page():
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=FLAGS)
        context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        context.add_init_script(axe.AXE_SCRIPT)
        held = context.new_page()
        held.set_default_timeout(120_000)
        yield held
        browser.close()


def drawn(page, url: str) -> None:
    """Open a view in the light theme and wait until all of it is there."""
    page.emulate_media(color_scheme="light")
    page.goto(url)
    page.wait_for_selector(".sx-live > *, .sx-static > *")
    page.wait_for_function(IDLE)
    page.wait_for_timeout(150)
    page.wait_for_function(IDLE)
    page.add_style_tag(content="* { transition: none !important; animation: none !important }")


def darkened(page) -> None:
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("getComputedStyle(document.querySelector('.stApp')).colorScheme === 'dark'")
    page.wait_for_timeout(50)


def issues(page, rules: list[str] | None = None) -> list[str]:
    """What axe-core calls serious or critical, one line each."""
    asked: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        asked["runOnly"] = {"type": "rule", "values": rules}
    found = page.evaluate("asked => axe.run(document, asked)", asked)["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['html'][:160]} {[one['message'] for one in node['any'] + node['all'] + node['none']][:1]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def unreached(page) -> list[str]:
    """Elements that act on a click and that Tab does not reach, neither themselves nor a control within that asks the same."""
    return page.evaluate("""() => {
      const shown = el => el.checkVisibility() && getComputedStyle(el).pointerEvents !== 'none';
      const stops = el => el.tabIndex >= 0 && !el.disabled;
      return [...document.querySelectorAll('[data-act]')].filter(shown).filter(el => !stops(el) &&
        ![...el.querySelectorAll('[data-act]')].some(one => stops(one) && one.dataset.act === el.dataset.act))
        .map(el => el.outerHTML.slice(0, 160)); }""")


def outline(page) -> list[tuple[int, str]]:
    """Headings that are shown, in order."""
    return page.evaluate("""() => [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].filter(el => el.checkVisibility())
      .map(el => [Number(el.tagName[1]), el.innerText])""")


def amiss(page) -> list[str]:
    """What is wrong with a view beside what axe-core finds: its headings, its title, its language, its keyboard."""
    heads, told = outline(page), []
    if [level for level, _ in heads].count(1) != 1:
        told.append(f"not one heading of the first level: {heads}")
    told += [
        f"{words!r} jumps to level {level}" for (before, _), (level, words) in pairwise(heads) if level > before + 1
    ]
    if not page.title().endswith(" · Strata"):
        told.append(f"titled {page.title()!r}")
    if page.get_attribute("html", "lang") != "en":
        told.append("no language")
    return told + [f"not reached by keyboard: {one}" for one in unreached(page)]


def faults(page, url: str, views: dict[str, str]) -> dict[str, list[str]]:
    """View and theme -> what is wrong there."""
    found = {}
    for name, path in views.items():
        drawn(page, f"{url}/{path}")
        found[f"{name}, light"] = issues(page) + amiss(page)
        darkened(page)
        found[f"{name}, dark"] = issues(page, COLOURS)
    return {name: lines for name, lines in found.items() if lines}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_axe_finds_nothing_serious_on_any_page_or_tab_in_either_theme(page, stocked):
    assert faults(page, stocked, VIEWS) == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_axe_finds_nothing_serious_on_an_empty_home(page, bare):
    assert faults(page, bare, EMPTY) == {}


@pytest.mark.timeout(600)
def test_axe_finds_nothing_serious_on_the_pages_used_most_and_on_refusals(page, stocked):
    assert faults(page, stocked, {**{name: VIEWS[name] for name in DAILY}, **REFUSED}) == {}


def test_the_form_that_signs_in_has_no_issue(page):
    for failed in (False, True):
        page.emulate_media(color_scheme="light")
        page.set_content(form.page("/", "This catalog asks who you are.", failed=failed))
        page.evaluate(axe.AXE_SCRIPT)
        assert issues(page) == []
        page.emulate_media(color_scheme="dark")
        assert issues(page, COLOURS) == []


def test_a_poor_page_is_found_out(page):
    """The checks see what they are there for."""
    page.set_content("<main><h1>One</h1><h3>Three</h3><p style='color:#aaa;background:#fff'>pale</p>"
                     "<div data-act='a:1'>not reached</div><input></main>")  # fmt: skip
    page.evaluate(axe.AXE_SCRIPT)
    assert {line.partition(":")[0] for line in issues(page)} >= {
        "color-contrast",
        "label",
        "html-has-lang",
        "document-title",
    }
    said = " ".join(amiss(page))
    assert (
        "jumps to level 3" in said and "not reached by keyboard" in said and "titled" in said and "no language" in said
    )


def focused(page) -> dict[str, Any]:
    return page.evaluate("""() => { const el = document.activeElement, style = getComputedStyle(el);
      return {act: el.dataset.act || null, tag: el.tagName, ours: !!el.closest('.sx-live'),
              ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1}; }""")


@pytest.mark.timeout(600)
def test_tab_walks_a_page_in_order_and_the_focus_is_seen(page, stocked):
    drawn(page, f"{stocked}/dataset?ref=web&tab=samples")
    asked = page.evaluate("""() => [...document.querySelectorAll('.sx-live [data-act]')]
      .filter(el => el.tabIndex >= 0 && el.checkVisibility()).map(el => el.dataset.act)""")
    walked: list[str] = []
    for _ in range(len(asked) + 60):
        page.keyboard.press("Tab")
        held = focused(page)
        assert held["ring"] or held["tag"] not in ("A", "BUTTON"), f"the focus on {held} is not seen"
        if held["ours"] and held["act"]:
            assert held["ring"], f"the focus on {held} is not seen"
            walked.append(held["act"])
        if len(walked) == len(asked):
            break
    assert walked == asked


@pytest.mark.timeout(600)
def test_a_row_is_opened_and_a_heading_sorts_by_keyboard(page, stocked):
    drawn(page, f"{stocked}/dataset?ref=web&tab=samples")
    page.locator(".sx-rows tbody tr:nth-child(3) [role=button]").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**row=**")
    page.wait_for_selector(".sx-rows tbody tr:nth-child(3).on [aria-current=true]")
    page.locator(".sx-rows th [role=button]").last.focus()
    page.keyboard.press(" ")
    page.wait_for_url("**sort=**")
    page.wait_for_selector(".sx-rows th[aria-sort=descending], .sx-rows th[aria-sort=ascending]")
