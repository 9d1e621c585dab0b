"""Forty sources of which five are broken, from an empty catalog to approved promotions, in a real browser.

    python benchmarks/walkthroughs/intake.py --out shots/

The broken ones: a file that is not there, JSON that ends in the middle, bytes of another encoding, a promise that is not
kept, and an empty file. They stay listed with their reasons; the other thirty-five get a verified licence, are checked
against what is held and an eval, are scored, proposed and promoted. A person signs in and does all of it on one page.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import yaml
from _page import Visit, browsing, serving

from catalog import Catalog
from catalog.testing import sentences, write_jsonl
from ui.api.tokens import create
from ui.intake import intake_rows

GOOD = 35
LONG = 900_000
"""Milliseconds that a command beside the server may take."""
TURN = {"role": "user", "content": "Add two and two"}


def write_sources(folder: Path) -> Path:
    """A sources file over forty deliveries: 22 of web text, 12 of chats, an eval, five broken."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = [_text(folder, number) for number in range(22)] + [_chat(folder, number) for number in range(12)]
    quiz = [{"question": f"What is {at} plus {at} and then {at * 3}?", "answer": str(5 * at)} for at in range(20)]
    write_jsonl(folder / "quiz.jsonl", quiz)
    entries.append({**_entry("quiz", "quiz.jsonl"), "role": "eval"})
    entries += _broken(folder)
    path = folder / "sources.yaml"
    path.write_text(yaml.safe_dump({"sources": entries}, sort_keys=False), "utf-8")
    return path


def _entry(name: str, uri: str, **more: object) -> dict[str, object]:
    evidence = f"https://example.org/{name}/licence"
    return {"name": name, "uri": uri, "licence": "CC-BY-4.0", "licence_evidence": evidence, "owner": "ana", **more}


def _text(folder: Path, number: int) -> dict[str, object]:
    """Pages; every sixth delivery holds half of the one before, every seventh some that are no samples."""
    texts = sentences(40, seed=number, low=60, high=90)
    if number % 6 == 5:
        texts = sentences(40, seed=number - 1, low=60, high=90)[:20] + texts[20:]
    rows: list[object] = [{"text": text, "url": f"https://w{number}.example.org/{at}"} for at, text in enumerate(texts)]
    rows += [{"text": ""}] * 3 if number % 7 == 6 else []
    write_jsonl(folder / f"web-{number}.jsonl", rows)  # type: ignore[arg-type]
    return _entry(f"web-{number:02d}", f"web-{number}.jsonl", expectations={"min_rows": 30, "quarantine_share": 0.2})


def _chat(folder: Path, number: int) -> dict[str, object]:
    rows = [{"messages": [TURN, {"role": "assistant", "content": text}]} for text in sentences(30, seed=100 + number)]
    write_jsonl(folder / f"chat-{number}.jsonl", rows)
    return _entry(f"chat-{number:02d}", f"chat-{number}.jsonl")


def _broken(folder: Path) -> list[dict[str, object]]:
    (folder / "cut.json").write_text(json.dumps([{"text": text} for text in sentences(20)])[:-40], "utf-8")
    (folder / "other.jsonl").write_bytes("".join(json.dumps({"text": t}) + "\n" for t in sentences(9)).encode("utf-16"))
    write_jsonl(folder / "small.jsonl", sentences(4, seed=77))
    (folder / "empty.jsonl").write_bytes(b"")
    return [
        _entry("gone", "gone.jsonl"),
        _entry("cut", "cut.json"),
        _entry("other-encoding", "other.jsonl"),
        _entry("small", "small.jsonl", expectations={"min_rows": 100}),
        _entry("empty", "empty.jsonl"),
    ]


def choose_all(visit: Visit, status: str) -> None:
    """Filter by a status and tick every source that has it."""
    visit.link(status)
    visit.page.wait_for_url("**status=**")
    visit.settle()
    visit.check("choose all that match")
    visit.see("With ")


def finished(visit: Visit, words: str) -> None:
    """Wait until a command that runs beside the server has begun and ended."""
    told = visit.page.get_by_role("status").filter(has_text=words)
    told.first.wait_for(state="visible")
    told.first.wait_for(state="detached", timeout=LONG)


def walk(visit: Visit, home: Path, sources: Path) -> None:
    with visit.step("open the empty page"):
        visit.open("intake")
        visit.see("No source yet")
    with visit.step("name the sources file"):
        visit.type("Sources file", str(sources))
        visit.see("40 sources, 40 of them new")
    with visit.step("take in 40 sources"):
        visit.press("Take in")
        finished(visit, "Reading 40 sources")
        visit.see("licence to verify")
    with visit.step("see why five failed"):
        visit.link("could not be taken in")
        visit.page.wait_for_url("**status=failed**")
        for words in ("no file or folder", "cut.json", "min_rows 100: 4 rows", "empty.jsonl", "other.jsonl"):
            visit.see(words)
    with visit.step("choose the sources to verify"):
        choose_all(visit, "licence to verify")
    with visit.step("verify 35 licences"):
        visit.press("I read the evidence: verify 35")
        visit.see("licences verified by")
    with visit.step("choose what is quarantined"):
        choose_all(visit, "quarantine to look at")
    with visit.step("accept the quarantine"):
        visit.press("I looked at them")
        visit.page.get_by_role("link", name="quarantine to look at").wait_for(state="detached")
    with visit.step("choose what is to check"):
        choose_all(visit, "overlap to check")
    with visit.step("check 34 sources against all that is held and the eval"):
        visit.press("Check 34 sources")
        visit.see("34 sources checked")
    with visit.step("choose what is to score"):
        choose_all(visit, "scores missing")
    with visit.step("score 34 sources"):
        visit.press("Score 34 sources")
        finished(visit, "Scoring")
        visit.see("ready for L1")
    with visit.step("choose what is ready"):
        choose_all(visit, "ready for L1")
    with visit.step("propose 34 promotions"):
        visit.press("Propose 34 promotions")
        visit.see("34 promotions wait for an approval")
    with visit.step("approve 34 promotions"):
        visit.press("Approve 34")
        finished(visit, "Promoting")
    with visit.step("look at what was taken in"):
        visit.link("taken in 35")
        visit.see("35 sources")
    held = intake_rows(Catalog.open(home))
    failed = {row["name"] for row in held if row["status"] == "failed"}
    assert failed == {"gone", "cut", "other-encoding", "small", "empty"}, failed
    assert sum(row["status"] == "in" for row in held) == GOOD
    assert all(row["verified_by"] == "ana" for row in held if row["status"] == "in")
    assert sum(bool(row["promoted"]) for row in held) == GOOD - 1  # the eval stays what it is


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, help="folder for pictures of every step")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        sources, token = write_sources(Path(folder) / "data"), create(Catalog.open(home), "ana", "admin")
        with (
            serving(home, sign_in=True) as url,
            browsing(url, token=token, theme=given.theme, shots=given.out) as visit,
        ):
            try:
                walk(visit, home, sources)
            finally:
                print(visit.report())


if __name__ == "__main__":
    main()
