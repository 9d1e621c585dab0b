"""A takedown after a mix was pulled: the address is pasted, what it reached is seen, approved, and everything else stays.

    python benchmarks/walkthroughs/takedown.py --out shots/

A mix over two datasets and a promotion is pulled through the library and trained on with a ledger. Then somebody asks for a
page to be removed. On the page Incidents a person pastes its address, sees the rows, the exact copy under another address,
the places in the mix, the pull and the run, proposes, approves, and gets the receipt. The mix is pulled again: the page is
gone from every place, and every other place serves what it served before.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from _page import Visit, browsing, serving

from catalog import Catalog
from catalog.pull.ledger import Ledger
from catalog.testing import sentences, write_jsonl
from flows import promote, score
from ui.api.tokens import create

PAGE = "https://a.example.org/private"
REASON = "request 17 of example.org"


def prepare(folder: Path, home: Path) -> Catalog:
    """Two crawls that share a text under two addresses, a promotion of one, and a mix of all."""
    cat = Catalog.open(home)
    texts = sentences(120, low=60, high=90)
    rows = [{"text": text, "url": f"https://a.example.org/{at}"} for at, text in enumerate(texts)]
    rows[40]["url"] = PAGE
    mirror = [{"text": text, "url": f"https://mirror.example/{at}"} for at, text in enumerate(texts[40:60])]
    cat.ingest([write_jsonl(folder / "web.jsonl", rows)], "web", licence="CC-BY-4.0", owner="ana")
    cat.ingest([write_jsonl(folder / "mirror.jsonl", mirror)], "mirror", licence="CC-BY-4.0", owner="ana")
    score(cat, "web", ["gopher_quality"])
    recipe = {"name": "long", "to": "L1", "kinds": ["text"], "scores": ["langid", "exact_dup", "minhash", "pii", "secrets", "gopher_quality"],
              "drop": [{"name": "short", "where": "word_count < 50"}, {"name": "copies", "where": "NOT exact_dup_keep"},
                       {"name": "near", "where": "NOT minhash_keep"}, {"name": "language", "where": "language IS NULL"},
                       {"name": "personal", "where": "pii_count > 99"}, {"name": "secret", "where": "secrets_count > 0"}],
              "missing": "keep"}  # fmt: skip
    promote(cat, "web", "L1", recipe=recipe)
    parts = [{"dataset": "web-l1", "weight": 3, "max_epochs": 3}, {"dataset": "mirror", "weight": 1, "max_epochs": 3}]
    cat.publish_mix({"name": "blend", "total": 160, "parts": parts})
    return cat


def pull(cat: Catalog, run: str | None = None) -> dict[int, str]:
    """Global index -> sample, as a trainer gets them; with a run also into its ledger."""
    mix, served = cat.mix("blend@v1"), {}
    ledger = Ledger(mix, run) if run else None
    for step, batch in enumerate(mix.batches(batch_rows=32, columns=["sample_id", "url"]), 1):
        served |= dict(zip(batch.column("_index").to_pylist(), batch.column("sample_id").to_pylist(), strict=True))
        if ledger:
            ledger.record(step, batch)
    if ledger:
        ledger.close()
    return served


def walk(visit: Visit) -> str:
    """Take the page out; the run of the takedown."""
    with visit.step("open the page"):
        visit.open("incidents")
        visit.see("Nothing is changed before a person approves it")
    with visit.step("paste the address and look"):
        visit.type("Address, sample id", PAGE, enter=False)
        visit.press("Look")
        visit.see("Read as an address")
        visit.see("at global indices")
    text = visit.text()
    for words in ("web-l1", "mirror", "blend@v1", "run-1", "PULLED BEFORE"):
        assert words in text, (words, text)
    with visit.step("propose the takedown"):
        visit.type("Reason", REASON)
        visit.press("Propose the takedown")
        visit.see(f"Takedown: {REASON}")
    with visit.step("approve it"):
        visit.type("Note", "checked with ana")
        visit.press("Approve")
        visit.page.wait_for_url("**receipt=**")
        visit.see("Download JSON")
    with visit.step("download the receipt"):
        with visit.page.expect_download() as held:
            visit.press("Download JSON")
        receipt = json.loads(Path(held.value.path()).read_text())
    assert receipt["reason"] == REASON and receipt["actor"] == "ana" and receipt["done"]
    with visit.step("ask for the same address again"):
        visit.open(f"incidents?q={PAGE}")
        visit.see("taken out already")
    return receipt["run"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, help="folder for pictures of every step")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        cat = prepare(Path(folder), home)
        before, token = pull(cat, "run-1"), create(cat, "ana", "write")
        with (
            serving(home, sign_in=True) as url,
            browsing(url, token=token, theme=given.theme, shots=given.out) as visit,
        ):
            try:
                run = walk(visit)
            finally:
                print(visit.report())
        check(cat, run, before)


def check(cat: Catalog, run: str, before: dict[int, str]) -> None:
    """The receipt names the pull and the run; the mix skips the page and nothing else moved."""
    from catalog.receipts import receipt

    held, after = receipt(cat, run), pull(cat)
    gone = set(before) - set(after)
    assert all(before[at] == sample for at, sample in after.items())
    assert held["mixes"] == [{"mix": "blend@v1", "samples": len(gone), "indices": sorted(gone)[:20]}]
    assert len(held["pulls"]) == 1 and held["pulls"][0]["samples"] == len(gone)
    assert [(one["run"], one["samples"]) for one in held["runs"]] == [("run-1", len(gone))]
    assert held["rows"] == {"mirror": 1, "web": 1, "web-l1": 1} and not any(
        f.level == "error" for f in cat.doctor(deep=True)
    )
    print(f"{len(gone)} of {len(before)} places are left out, {len(after)} serve what they served before; the receipt names "
          f"the pull that began {held['pulls'][0]['began'][:19]} and run-1")  # fmt: skip


if __name__ == "__main__":
    main()
