"""Pictures of every page for these documents, from a home that `make demo` filled, in both themes.

.venv/bin/python docs/shots.py --home strata-home [--only grade map] [--out docs/screenshots]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks" / "walkthroughs"))

from _page import browsing, serving  # noqa: E402

VIEWS = {
    "home": "", "discover": "discover?q=mathematics+with+worked+solutions,+free+for+commercial+use",
    "compare": "discover?a=web-l1&b=guides", "dataset": "dataset?ref=web-l2", "samples": "dataset?ref=web-l1&tab=samples",
    "columns": "dataset?ref=web&tab=columns&column=word_count", "map": "dataset?ref=web-l2&tab=map",
    "explore": "dataset?ref=web&tab=explore&rules=word_count%3E%3D60", "insight": "dataset?ref=web&tab=insight",
    "lineage": "dataset?ref=web-l2&tab=lineage", "versions": "dataset?ref=web-l1&tab=versions", "grade": "grade",
    "mixes": "mixes", "experiments": "experiments", "flows": "flows?dataset=web&scorer=langid", "intake": "intake",
    "incidents": "incidents", "sql": "sql?q=SELECT+source,+count(*)+AS+rows+FROM+web+GROUP+BY+1+ORDER+BY+2+DESC",
    "assistant": "assistant", "admin": "admin",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=ROOT / "strata-home")
    parser.add_argument("--only", nargs="*", default=list(VIEWS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    asked = parser.parse_args()
    with serving(asked.home) as url:
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
