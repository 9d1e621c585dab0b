"""The web page in headless Chromium: it draws in both themes, links and clicks move the address, samples stay text."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from catalog import Catalog, grades
from catalog.testing import attach_columns, sentences, write_jsonl
from flows import score

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium: apt-get install chromium"),
]
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")

ROOT = Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
EVIL = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'> and more words to read"
RUBRIC = {"name": "clarity", "about": "How clear?", "scales": {"clarity": {"low": 1, "high": 5}},
          "labels": {"audience": {"of": ["children", "experts"]}}}  # fmt: skip
VIEWS = {
    "home": "/",
    "discover": "/discover?q=words+to+read",
    "found": "/discover?over=samples&q=words&in=web",
    "card": "/dataset?ref=web",
    "samples": "/dataset?ref=web&tab=samples",
    "columns": "/dataset?ref=web&tab=columns&column=word_count",
    "lineage": "/dataset?ref=web&tab=lineage",
    "map": "/dataset?ref=web&tab=map",
    "flows": "/flows?dataset=web&scorer=langid",
    "campaigns": "/grade",
    "desk": "/grade?campaign=clarity&as=looker",
    "campaign": "/grade?new=1",
    "admin": "/admin",
    "audit": "/admin?tab=audit",
    "sql": "/sql?q=SELECT+source,count(*)+AS+rows+FROM+web+GROUP+BY+1",
    "mixes": "/mixes",
    "incidents": "/incidents?q=blend",
    "intake": "/intake?source=web&pick=web",
    "experiments": "/experiments",
    "history": "/mixes?tab=history",
    "editor": "/mixes?mix=new",
    "what_if": "/mixes?mix=new&view=weights",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A server over a small home."""
    folder = tmp_path_factory.mktemp("browser")
    cat = Catalog.open(folder / "home")
    cat.ingest([write_jsonl(folder / "web.jsonl", [EVIL, *sentences(60)])], "web", licence="MIT")
    score(cat, "web", ["gopher_quality"])
    places = np.random.default_rng(0).standard_normal((2, 61)).astype(np.float32)
    attach_columns(cat, "web", {"pca_x": places[0], "pca_y": places[1]}, scorer="map_pca")
    cat.publish_mix({"name": "blend", "parts": [{"dataset": "web"}]})
    grades.create(cat, "clarity", "web", RUBRIC, graders=3)
    grades.create(cat, "stretches", "web", {**RUBRIC, "labels": {}}, target="span")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "ui/web/app.py", "--server.port", str(port),
               "--server.address", "127.0.0.1"]  # fmt: skip
    given = os.environ | {"STRATA_HOME": str(folder / "home")}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=given, stdout=log, stderr=log)
        try:
            yield _await(f"http://127.0.0.1:{port}", server)
        finally:
            server.terminate()
            server.wait(20)


def _await(url: str, server: subprocess.Popen) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1)
            return url
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the web server did not start")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as play:
        held = play.chromium.launch(executable_path=shutil.which("chromium"), headless=True, args=FLAGS)
        yield held
        held.close()


@pytest.fixture
def page(browser):
    """A page that fails the test when its scripts do."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    held = context.new_page()
    errors: list[str] = []
    held.on("pageerror", lambda error: errors.append(str(error)))
    yield held
    context.close()
    assert not errors


def settled(page, url: str) -> None:
    """Wait until the first markup is there and the script has ended."""
    page.goto(url)
    page.wait_for_selector(".sx-live > *, .sx-static > *", timeout=60_000)
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')", timeout=60_000)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_draws_in_both_themes_without_overflow(browser, address, theme, tmp_path):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    for name, path in VIEWS.items():
        if theme == "dark" and name in ("card", "lineage", "flows", "history", "what_if"):
            continue
        settled(page, address + path)
        assert page.locator("[role=alert].sx-note").count() == 0, name
        assert page.evaluate("getComputedStyle(document.querySelector('.stApp')).colorScheme") == theme
        wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
        assert wide <= 0, f"{name} is {wide} pixels too wide"
        shot = tmp_path / f"{name}_{theme}.png"
        page.screenshot(path=shot)
        assert shot.stat().st_size > 10_000, name
    context.close()
    assert not errors


def test_a_card_opens_its_dataset_and_a_row_its_sample(page, address):
    settled(page, address)
    page.click("a.sx-card:has-text('web')")
    page.wait_for_url("**/dataset?ref=web")
    page.click("nav.sx-tabs >> text=Samples")
    page.wait_for_url("**tab=samples**")
    page.wait_for_selector(".sx-rows tbody tr")
    page.click(".sx-rows tbody tr:nth-child(3)")
    page.wait_for_url("**row=**")
    chosen = page.inner_text(".sx-rows tbody tr:nth-child(3) .sx-mono")
    page.wait_for_function(f"document.querySelector('.sx-detail').innerText.includes('{chosen}')")
    page.click("th:has-text('chars')")
    page.wait_for_url("**sort=chars**")
    page.wait_for_selector("th.on:has-text('chars')")


def test_an_address_opens_the_same_view_again(page, address):
    settled(page, address + "/dataset?ref=web&tab=samples&where=word_count+%3E+40&sort=word_count&order=up")
    page.wait_for_selector("text=matching, 61 in all")
    counts = [int(text) for text in page.locator(".sx-rows tbody tr td:nth-child(3)").all_inner_texts()]
    assert counts == sorted(counts)
    assert counts[0] > 40
    page.wait_for_function("document.querySelector('input[aria-label=Filter]')?.value === 'word_count > 40'")


def test_a_hostile_sample_is_shown_and_does_nothing(page, address):
    settled(page, address + "/dataset?ref=web&tab=samples")
    page.wait_for_selector(".sx-detail")
    assert "<script>window.hacked = 1</script>" in page.inner_text(".sx-detail")
    assert page.evaluate("window.hacked") is None


def test_a_scorer_is_chosen_and_its_plan_appears(page, address):
    settled(page, address + "/flows?dataset=web")
    page.click(".sx-pick-row:has-text('text_length')")
    page.wait_for_url("**scorer=text_length**")
    page.wait_for_selector("text=strata score web text_length")


def test_a_preview_follows_what_is_written_and_a_mistake_is_one_line(page, address):
    settled(page, address + "/mixes?mix=new")
    page.fill(
        "textarea[aria-label='Spec (YAML)']",
        "name: twice\ntotal: 90\nparts: [{dataset: web, weight: 1, max_epochs: 2}]",
    )
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("text=29 rows, up to 2×")
    page.fill(
        "textarea[aria-label='Spec (YAML)']",
        "name: twice\ntotal: 900\nparts: [{dataset: web, weight: 1, max_epochs: 2}]",
    )
    page.click("nav.sx-tabs >> text=What if")  # leaving the box takes what is written
    page.wait_for_url("**view=weights**")
    page.click("nav.sx-tabs >> text=Preview")
    page.wait_for_selector("[role=alert] >> text=is short of 778 samples")
    assert page.locator("[role=alert].sx-note").count() == 1


def test_a_lasso_on_the_map_is_counted_and_stays_in_the_address(page, address):
    settled(page, address + "/dataset?ref=web&tab=map")
    page.click(".sx-map [data-mode=lasso]")
    box = page.locator(".sx-map canvas").bounding_box()
    corners = [(0.3, 0.2), (0.7, 0.2), (0.75, 0.8), (0.25, 0.8), (0.3, 0.22)]
    for at, (x, y) in enumerate(corners):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if not at:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_function("location.search.includes('poly=')")
    page.wait_for_selector("text=an outline of")
    page.locator(".sx-map canvas").focus()
    page.keyboard.press("+")
    page.wait_for_function("location.search.includes('view=') && location.search.includes('poly=')")
    page.keyboard.press("0")
    page.wait_for_function("!location.search.includes('view=')")


def picked(page) -> list[str]:
    return page.evaluate("[...document.querySelectorAll('.sx-desk input:checked')].map(el => el.value)")


def turned(page, before: str) -> str:
    """The mark of the item on the desk, once it is another."""
    page.wait_for_function(
        "mark => (document.querySelector('.sx-desk-origin')?.innerText ?? mark) !== mark", arg=before
    )
    return page.inner_text(".sx-desk-origin")


def test_grading_needs_no_mouse(page, address):
    settled(page, address + "/grade?campaign=clarity&as=ann")
    first = page.inner_text(".sx-desk-origin")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=clarity is not chosen yet.")
    for key in ("4", "2"):
        page.keyboard.press(key)
    assert picked(page) == ["4", "experts"]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert picked(page) == ["3", "experts"]
    page.keyboard.press("Enter")
    second = turned(page, first)
    assert "1 graded by you" in page.inner_text(".sx-desk-strip") and picked(page) == []
    page.keyboard.press("s")
    third = turned(page, second)
    page.keyboard.press("u")
    assert turned(page, third) == second
    page.keyboard.press("u")
    assert turned(page, second) == first
    page.keyboard.press("n")
    page.keyboard.type("s is a letter here")
    page.keyboard.press("Escape")
    assert page.input_value("[data-note]") == "s is a letter here"
    page.reload()
    page.wait_for_selector(".sx-desk-origin")
    assert page.inner_text(".sx-desk-origin") == first


def test_a_stretch_is_marked_and_graded_by_characters(page, address):
    settled(page, address + "/grade?campaign=stretches&as=ann")
    before = page.inner_text(".sx-desk-origin")
    page.evaluate("""() => {
      const node = document.querySelector('[data-span-text]').firstChild, range = document.createRange();
      range.setStart(node, 3), range.setEnd(node, 9);
      getSelection().removeAllRanges(), getSelection().addRange(range);
    }""")
    page.keyboard.press("m")
    page.wait_for_selector("text=Stretch 3-9")
    page.keyboard.press("1")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("text=The whole sample")
    page.keyboard.press("5")
    page.keyboard.press("Enter")
    turned(page, before)
    assert "clarity 5" in page.inner_text(".sx-desk-strip") and "span:3-9" in page.inner_text(".sx-desk-strip")
