"""Pictures of every page for these documents, in both themes, from a copy of a home that `make demo` filled, where
somebody has also asked for proposals, begun a grading campaign, drawn a map and trained two proxies of each of two mixes.

.venv/bin/python docs/shots.py --home strata-home [--only grade map] [--out docs/screenshots]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks" / "walkthroughs"))

from _page import browsing, serving  # noqa: E402

VIEWS = {
    "home": "", "discover": "discover?q=mathematics+with+worked+solutions,+free+for+commercial+use",
    "compare": "discover?a=web&b=web-l2", "dataset": "dataset?ref=web-l2", "samples": "dataset?ref=web-l1&tab=samples",
    "columns": "dataset?ref=web&tab=columns&column=word_count", "map": "dataset?ref=web-l1&tab=map",
    "explore": "dataset?ref=web&tab=explore&rules=word_count%3E%3D60", "insight": "dataset?ref=web&tab=insight",
    "lineage": "dataset?ref=web-l2&tab=lineage", "versions": "dataset?ref=web-l1&tab=versions", "grade": "grade?campaign=prrc-web&as=ann",
    "mixes": "mixes", "experiments": "experiments", "flows": "flows?dataset=web&scorer=langid", "intake": "intake",
    "incidents": "incidents", "sql": "sql?q=SELECT+source,+count(*)+AS+rows+FROM+web+GROUP+BY+1+ORDER+BY+2+DESC",
    "assistant": "assistant?tab=proposals", "admin": "admin",
}  # fmt: skip


PROPOSALS = [
    ("select", {"name": "long-pages", "source": "web-l2", "where": "chars > 2000"}, "short pages are lists"),
    ("tag", {"ref": "web-l2@v1", "label": "reviewed"}, "twenty pages were read by two people"),
    (
        "mix_revise",
        {"ref": "demo@v1", "at_sample": 400, "weights": {"web-l2": 1, "math-l1": 4, "sft-l1": 1}},
        "mathematics still improves",
    ),
]


def prepared(home: Path, folder: Path) -> Path:
    """A copy of the home with what a team at work would have in it."""
    from catalog import Catalog, grades
    from ui.cli.main import run

    copy = folder / "home"
    shutil.copytree(home, copy)
    os.environ["STRATA_HOME"] = str(copy)
    for verb, wanted, reason in PROPOSALS:
        assert run(["propose", verb, json.dumps(wanted), "--reason", reason]) == 0, verb
    create = ["grade", "create", "prrc-web", "web-l1", "--rubric", "prrc", "--graders", "2", "--items", "40"]
    assert run(create) == 0
    assert run(["score", "web-l1", "map_pca", "kmeans", "--on", "inline"]) == 0
    spec = (ROOT / "examples" / "mix.yaml").read_text("utf-8")
    (folder / "plain.yaml").write_text(
        spec.replace("name: demo", "name: plain").replace("weight: 3", "weight: 1"), "utf-8"
    )
    assert run(["mix", "publish", str(folder / "plain.yaml")]) == 0
    trial = ["--size", "256k", "--tokens", "40000", "--seed", "0", "--seed", "1"]
    assert run(["trial", "run", "demo@v1", "plain@v1", *trial]) == 0
    cat = Catalog.open(copy)
    VIEWS["incidents"] = f"incidents?q={next(iter(cat.scan('web-l1', ['sample_id']))).column('sample_id')[0]}"
    for person, low in (("ann", 2), ("bob", 3)):
        for at in range(3 if person == "ann" else 14):
            item = grades.next_item(cat, "prrc-web", person)
            assert item is not None
            scales = ("professionalism", "readability", "reasoning", "cleanliness")
            grades.put(
                cat, item["item"], {name: low + (at + place) % 3 for place, name in enumerate(scales)}, grader=person
            )
    cat.engine.dispose()
    return copy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=ROOT / "strata-home")
    parser.add_argument("--only", nargs="*", default=list(VIEWS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(prepared(asked.home, Path(folder))) as url:
        for theme in ("light", "dark"):
            with browsing(url, theme=theme, width=1360, height=950, shots=asked.out) as visit:
                for name in asked.only:
                    visit.open(VIEWS[name])
                    visit.page.wait_for_timeout(1500)  # charts draw after the script has ended
                    visit.settle()
                    visit.shot(name if theme == "light" else f"{name}-dark")
                    print(name, theme, flush=True)


if __name__ == "__main__":
    main()
