"""How long a person waits for the page: first paint and content of every view, and each thing they do in it.

    python benchmarks/pages.py --rows 1000000 --runs 20 --home /tmp/big

A real server (`strata ui`), a signed-in actor with a local token, headless Chromium on the same machine. Times are the
browser's own: first contentful paint of a navigation, and the moment of the last change of the page after it or after an act,
read by a MutationObserver. A view is drawn once before it is timed; every act asks for something that was not asked before.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent / "walkthroughs"))

from _big_home import big_home
from _page import IDLE, Visit, browsing, serving

from catalog import Catalog
from ui.api.tokens import create

WATCH = """() => { if (!window.__watch) { window.__changed = performance.now(); window.__watch = new MutationObserver((all) => {
  if (all.some((one) => !(one.target.closest && one.target.closest('[data-testid=stStatusWidget]')))) window.__changed = performance.now(); });
  window.__watch.observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true}); } }"""
QUIET = 400
"""Milliseconds without a change after which a page counts as drawn."""
DRAWN = f"""() => performance.now() - window.__changed > {QUIET} && ({IDLE})()"""
VIEWS = {
    "home": "", "discover": "discover", "dataset card": "dataset?ref=web", "samples": "dataset?ref=web&tab=samples",
    "columns": "dataset?ref=web&tab=columns&column=score_0", "map": "dataset?ref=web&tab=map", "clusters": "dataset?ref=web&tab=clusters",
    "explore": "dataset?ref=web&tab=explore&rules=score_0%3E%3D0.3", "insight": "dataset?ref=web&tab=insight",
    "versions": "dataset?ref=web&tab=versions", "lineage": "dataset?ref=web&tab=lineage", "grade": "grade", "mixes": "mixes",
    "experiments": "experiments", "flows": "flows?dataset=web&scorer=text_length", "intake": "intake", "incidents": "incidents",
    "sql": "sql", "assistant": "assistant", "admin": "admin",
}  # fmt: skip
Act = Callable[[Visit, int], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="0: an empty home")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--home", type=Path, help="keep the home here, or use the one that is there")
    parser.add_argument("--only", nargs="*", help="views and acts by name")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = asked.home or Path(folder)
        cat = big_home(place, asked.rows) if asked.rows else Catalog.open(place / "empty")
        token = create(cat, "bench", "admin")
        with (
            serving(cat.settings.home, sign_in=True) as url,
            browsing(url, token=token, width=1400, height=1000) as visit,
        ):
            print(f"{'view':<28}{'paint ms, median / p95':>26}{'content ms, median / p95':>28}")
            for name, path in VIEWS.items():
                if not asked.only or name in asked.only:
                    view(visit, name, path, asked.runs)
            if asked.rows:
                print(f"{'act':<28}{'ms, median / p95':>26}")
                for name, (path, act) in acts(asked.rows).items():
                    if not asked.only or name in asked.only:
                        timed(visit, name, path, act, asked.runs)


def load(visit: Visit, path: str) -> tuple[float, float]:
    """First contentful paint and last change of a navigation, in ms since it began."""
    visit.page.goto(f"{visit.url}/{path}", wait_until="commit")
    visit.page.wait_for_function("() => document.body")
    visit.page.evaluate(WATCH)
    visit.page.wait_for_selector(".sx-live > *, .sx-static > *, .stAlert")
    visit.page.wait_for_function(DRAWN)
    paint = visit.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    return paint, visit.page.evaluate("window.__changed")


def view(visit: Visit, name: str, path: str, runs: int) -> None:
    load(visit, path)
    found = [load(visit, path) for _ in range(runs)]
    paints, contents = zip(*found, strict=True)
    print(f"{name:<28}{_two(paints):>26}{_two(contents):>28}", flush=True)
    if "could not be drawn" in visit.text():
        print(f"  {name} could not be drawn")


def timed(visit: Visit, name: str, path: str, act: Act, runs: int) -> None:
    """One act, again and again, each for something else."""
    load(visit, path)
    act(visit, -1)
    visit.page.wait_for_function(DRAWN)
    spent = []
    for run in range(runs):
        visit.page.evaluate("() => { window.__began = performance.now(); window.__changed = performance.now(); }")
        act(visit, run)
        visit.page.wait_for_timeout(60)
        visit.page.wait_for_function(DRAWN)
        spent.append(visit.page.evaluate("window.__changed - window.__began"))
    print(f"{name:<28}{_two(spent):>26}", flush=True)
    if "could not be drawn" in visit.text():
        print(f"  {name} could not be drawn")


def _two(values: Any) -> str:
    held = sorted(values)
    return f"{statistics.median(held):,.0f} / {held[min(len(held) - 1, round(0.95 * len(held)) - 1 if len(held) > 1 else 0)]:,.0f}"


def acts(rows: int) -> dict[str, tuple[str, Act]]:
    """What people do: name -> (view it begins in, the act). The number of the run makes each another question."""
    samples = "dataset?ref=web&tab=samples"
    words = ["river", "water", "school", "music", "history", "light", "engine", "family", "market", "science", "number", "method",
             "string", "value", "class", "object", "module", "error", "module name", "return value", "import"]  # fmt: skip
    return {
        "filter on a column": (samples, lambda v, n: v.type("Filter", f"score_{(n + 1) % 20} > 0.{50 + n + 1}")),
        "filter by label": (samples, lambda v, n: v.type("Filter", f"language = 'de' AND score_{(n + 1) % 20} > 0.2")),
        "sort by a score": (samples, lambda v, n: v.choose("Sort", f"score_{(n + 1) % 20}")),
        "text search": (samples, lambda v, n: v.type("Search", words[n + 1])),
        "open sample 500,000": (samples, lambda v, n: v.type("Go to row", str(min(500_000, rows - 40) + 25 * n))),
        "next page": (samples, lambda v, n: v.press("Next", exact=True)),
        "page back": (f"{samples}&at={min(rows, 100_000) // 2}", lambda v, n: v.press("Previous", exact=True)),
        "open a row": (samples, lambda v, n: v.page.locator(".sx-rows tbody tr").nth((n + 2) % 24).click()),
        "threshold drag": ("dataset?ref=web&tab=explore&rules=score_0%3E%3D0.3", slide),
        "a column": ("dataset?ref=web&tab=columns", lambda v, n: v.page.get_by_text(f"score_{(n + 2) % 20}", exact=True).first.click()),
        "a query": ("sql", query),
        "search the catalog": ("", lambda v, n: v.type("Search", ("web", "small", "bench", "none")[n % 4])),
        "a need in words": ("discover", lambda v, n: v.type("What do you need", f"clear pages about {words[n + 1]}")),
    }  # fmt: skip


def slide(visit: Visit, run: int) -> None:
    """Move the first threshold by one step of its slider."""
    thumb = visit.page.locator("[data-testid=stSlider] input[type=range]").first
    thumb.focus()
    thumb.press("ArrowRight")


def query(visit: Visit, run: int) -> None:
    """Another aggregate over all rows."""
    box = visit.page.locator("textarea").first
    box.fill(
        f"SELECT language, avg(score_{(run + 1) % 20}) AS mean, count(*) AS rows FROM web WHERE score_0 > 0.{run + 11} GROUP BY 1"
    )
    box.press("Control+Enter")


if __name__ == "__main__":
    main()
