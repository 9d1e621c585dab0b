"""Writes flows/scorers/text/bad_words.json and data/bad_words_golden.json, from a clone of the list's repository.

    python tests/oracles/make_bad_words.py path/to/List-of-Dirty-Naughty-Obscene-and-Otherwise-Bad-Words

Run it with an interpreter that holds datatrove[io]==0.10.1. The list is CC BY 4.0; the golden file holds the verdicts of
datatrove's C4BadWordsFilter on the example web pages (as English) and on sentences around entries of each
language, [language, entry's number or null, page or frame, found].
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import c4_filters

HERE = Path(__file__).parent
ENGLISH, OTHERS = "25e679f03d96baa721cde20db9944649e8d0a844", "5faf2ba42d7b1c0977169ec3611df25a3c08eb13"
LANGUAGES = "ar cs da de en eo es fa fi fil fr hi hu it ja kab ko nl no pl pt ru sv th tr zh".split()
SAME = {"fil": "tl"}
FRAMES = ("{}", "it was {}, twice", "x{}", "{}y", "_{} and ({})!", "über{}", "A\n{}\n")


def main(repo: str) -> None:
    def listed(code: str) -> list[str]:
        commit = ENGLISH if code == "en" else OTHERS
        body = subprocess.run(["git", "-C", repo, "show", f"{commit}:{code}"], capture_output=True, check=True).stdout
        return sorted({line.strip() for line in body.decode().splitlines() if line.strip()})

    words = {SAME.get(code, code): listed(code) for code in LANGUAGES}
    held = {"source": "github.com/LDNOOBW/List-of-Dirty-Naughty-Obscene-and-Otherwise-Bad-Words", "licence": "CC BY 4.0",
            "commits": {"en": ENGLISH, "others": OTHERS}, "words": words}  # fmt: skip
    (HERE.parents[1] / "flows/scorers/text/bad_words.json").write_text(json.dumps(held, indent=0) + "\n", "utf-8")

    def asset(url: str, **options: object) -> str:
        path = Path("/tmp") / f"bad_words_{url.rsplit('/', 1)[-1]}"
        path.write_text("\n".join(listed(url.rsplit("/", 1)[-1])), "utf-8")
        return str(path)

    c4_filters.cached_asset_path_or_download = asset
    filter_ = c4_filters.C4BadWordsFilter()

    def found(text: str, code: str) -> bool:
        return filter_.filter(Document(text=text, id="0", metadata={"language": code})) is not True

    pages = (HERE.parents[1] / "examples/data/web_quality_dclm.jsonl").read_text("utf-8").splitlines()
    rows = [["en", None, row, found(json.loads(page)["text"], "en")] for row, page in enumerate(pages)]
    for code in LANGUAGES:
        name = SAME.get(code, code)
        for number in range(0, len(words[name]), 9):
            for frame, form in enumerate(FRAMES):
                rows.append([name, number, frame, found(form.format(words[name][number], words[name][number]), code)])
    body = ",\n".join(json.dumps(row) for row in rows)
    (HERE / "data/bad_words_golden.json").write_text(f"[\n{body}\n]\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
