"""From a need to a running training loop, as a new user would do it, in a real browser.

    python benchmarks/walkthroughs/newcomer.py --out shots/

Find data for a need, look at it, score it, draw a threshold, grade twenty of its samples, promote it, write a mix, publish
it, copy the snippet and run it. The home holds what a team ingested and nothing else: real pages, instructions and
mathematics of examples/data. A person signs in with a local token and never leaves the browser before the last step.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from _page import ROOT, Visit, browsing, serving

from catalog import Catalog, grades
from ui.api.tokens import create

DATA = ROOT / "examples" / "data"
NEED = "crawled web pages in English for pre-training, free for commercial use"
TWENTY = 20


def prepare(home: Path) -> Catalog:
    """What a team ingested."""
    cat = Catalog.open(home)
    for name, files, facts in (
        ("web", "web_quality*", {"licence": "MIT", "note": "crawled web pages in English"}),
        ("math", "math_gsm8k*", {"licence": "MIT", "note": "school mathematics with worked solutions"}),
        ("sft", "sft_dolly*", {"licence": "CC-BY-SA-3.0", "note": "instructions with answers by people"}),
    ):
        paths = sorted(DATA.glob(files))
        assert paths, files
        cat.ingest(paths, name, **facts)
    return cat


def find(visit: Visit) -> None:
    with visit.step("find data for a need"):
        visit.open("discover")
        visit.type("What do you need?", NEED)
        visit.see("web")
    with visit.step("open the first result"):
        visit.page.locator(".sx-live a[href^='dataset?ref=web']").first.click()
        visit.page.wait_for_url("**/dataset?ref=web**")
        visit.see("licence declared")
    with visit.step("look at its samples"):
        visit.link("Samples", exact=True)
        visit.see("in table order")
    with visit.step("open a sample"):
        visit.page.locator(".sx-rows tbody tr").nth(2).click()


def score(visit: Visit, cat: Catalog) -> None:
    """What promotion lacks leads to Flows, where the plan is shown before it starts."""
    with visit.step("see what promotion lacks"):
        visit.open("dataset?ref=web&tab=promote")
        visit.see("Choose them on Flows")
    with visit.step("plan the scores"):
        visit.link("Choose them on Flows")
        visit.page.wait_for_url("**/flows?**")
        visit.see("Start")
    with visit.step("score"):
        visit.press("Start", exact=True)
        for _ in range(600):  # the page shows the run; the catalog says when it has published
            if any(run.verb == "score" and run.status != "running" for run in cat.runs(20, "web")):
                break
            visit.page.wait_for_timeout(1000)
        visit.see("score web")
    assert {"language", "word_count"} <= {column.alias for column in cat.columns("web")}


def threshold(visit: Visit) -> None:
    with visit.step("draw a threshold on all rows"):
        visit.open("dataset?ref=web&tab=explore&rules=word_count%3E%3D50")
        visit.see("Keeps")
        thumb = visit.page.locator("[data-testid=stSlider] input[type=range]").first
        thumb.focus()
        for _ in range(8):
            thumb.press("ArrowRight")
        visit.see("Keeps")
    with visit.step("save it as a selection"):
        visit.page.get_by_text("Save as a selection", exact=True).first.click()
        visit.type("Name of the selection", "good-pages")
        visit.press("Save as a selection")
        visit.see("good-pages@v1")


def grade(visit: Visit, cat: Catalog) -> None:
    with visit.step("make a campaign"):
        visit.open("grade?new=1")
        visit.type("Name", "worth-reading")
        visit.choose("Dataset or selection", "good-pages")
        visit.settle()
        visit.press("Create campaign")
        visit.page.wait_for_url("**campaign=worth-reading**")
        visit.settle()
    with visit.step("grade twenty by keys"):
        done = 0
        while done < TWENTY:
            for question in range(visit.page.locator("fieldset[data-name]").count()):
                visit.page.keyboard.press(str(1 + (done + question) % 3))
            visit.page.keyboard.press("Enter")
            done += 1
            visit.page.wait_for_function(f"() => document.body.innerText.includes('{done} graded by you')")
            visit.settle()
    held = grades.status(cat, "worth-reading")
    assert sum(line["graded"] for line in held["graders"]) >= TWENTY, held


def promote(visit: Visit, cat: Catalog) -> None:
    with visit.step("try the recipe on all rows"):
        visit.open("dataset?ref=web&tab=promote&select=good-pages@v1")
        visit.see("removes rows")
    with visit.step("promote"):
        visit.press("Promote to L1")
        visit.see("keeps")
    assert cat.resolve("web-l1").dataset.tier == "L1"


def mix(visit: Visit, cat: Catalog) -> str:
    """Publish a mix; the snippet that the page offers for it."""
    spec = "name: first\ntotal: 400\nparts:\n  - {dataset: web-l1, weight: 0.6}\n  - {dataset: math, weight: 0.4}\n"
    with visit.step("write a mix"):
        visit.open("mixes?mix=new")
        visit.page.locator("textarea[aria-label='Spec (YAML)']").fill(spec)
        visit.press("Preview")
        visit.see("math@v1")
    with visit.step("publish it"):
        visit.press("Publish", exact=True)
        visit.page.wait_for_url("**mix=first*v1**")
        visit.see("lock")
    with visit.step("copy the snippet"):
        visit.open("mixes?mix=first@v1&tab=train")
        visit.see("from catalog import Catalog")
        code = visit.page.locator("[data-testid=stCode] code").first.inner_text()
    return re.sub(r"\u200b", "", code)


def run(code: str, home: Path) -> str:
    """The snippet as copied, with a line that says what the last step was given."""
    script = f'{code}\nprint(step, "steps,", len(inputs), "texts in the last")\n'
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "STRATA_HOME": str(home)}, cwd=ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


def film(shots: Path, out: Path, width: int = 1000) -> None:
    """The pictures one after the other, a second and a half each."""
    from PIL import Image

    frames = []
    for path in sorted(shots.glob("[0-9][0-9]-*.png")):
        image = Image.open(path).convert("RGB")
        small = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
        frames.append(small.quantize(64, dither=Image.Dither.NONE))
    frames[0].save(out, save_all=True, append_images=frames[1:], duration=1500, loop=0, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, help="folder for pictures of every step")
    parser.add_argument("--film", type=Path, help="with --out: an animation of the steps, for the README")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        cat = prepare(home)
        token = create(cat, "ana", "write")
        with (
            serving(home, sign_in=True) as url,
            browsing(url, token=token, theme=given.theme, shots=given.out) as visit,
        ):
            try:
                find(visit)
                score(visit, cat)
                threshold(visit)
                grade(visit, cat)
                promote(visit, cat)
                code = mix(visit, cat)
            except Exception:
                if given.out:
                    visit.shot("failed")
                raise
            finally:
                print(visit.report())
        print(run(code, home))
        if given.out and given.film:
            film(given.out, given.film)


if __name__ == "__main__":
    main()
