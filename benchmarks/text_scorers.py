"""Documents a second of each text scorer, and how that compares with datatrove's filters of the same rules.

    python benchmarks/text_scorers.py
    python benchmarks/text_scorers.py --texts pages.jsonl --peer /path/to/env/bin/python

Documents are cut to one length (725 characters), from the `text` field of a JSONL file or, without one, from the
docstrings and sources of the standard library. Rates are per CPU second of one process, so that a busy machine does not
count; the best of three passes. datatrove[io,processing] needs an environment of its own, whose interpreter --peer
names; its filters get thresholds that drop nothing, since they would otherwise stop at a document's first failure.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

SCORERS = (
    "gopher_quality",
    "gopher_repetition",
    "fineweb_lines",
    "c4_lines",
    "text_length",
    "langid",
    "pii",
    "secrets",
    "token_count",
    "rpv2_signals",
    "refinedweb_lines",
    "readability",
    "lexical_diversity",
    "compression",
    "starcoder_code",
    "format_shares",
    "pii_ids",
    "bad_words",
    "code_comments",
)
RULES = SCORERS[:4]
TOGETHER = "the first four"
BATCH = 1024


def documents(file: str | None, count: int, length: int) -> list[str]:
    """`count` documents of `length` characters."""
    found: list[str] = []
    for text in _texts(file):
        found += [text[i : i + length] for i in range(0, len(text) - length + 1, length)]
        if len(found) >= count:
            return found[:count]
    raise SystemExit(
        f"only {len(found)} documents of {length} characters in {file or 'the standard library'}; ask for fewer"
    )


def _texts(file: str | None) -> Iterator[str]:
    if file:
        with open(file, encoding="utf-8") as lines:
            yield "".join(json.loads(line)["text"] + "\n" for line in lines)
        return
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        yield path.read_text("utf-8", errors="replace")


def rate(work: Callable[[], object], count: int) -> float:
    """Documents per CPU second, the best of three."""
    best = 0.0
    for _ in range(3):
        start = time.process_time()
        work()
        best = max(best, count / (time.process_time() - start))
    return best


def ours(texts: list[str]) -> dict[str, float]:
    """Each scorer by itself, nothing shared; then the four rule sets together, which share the words of a batch."""
    import pyarrow as pa

    from catalog.errors import Missing
    from catalog.plugins import Context, get_scorer
    from flows.scorers.text import _chars

    column = pa.array(texts, pa.string())
    beside = {"language": pa.array(["en"] * len(texts)), "meta": pa.nulls(len(texts), pa.string())}
    whole = pa.record_batch({"text": column, **beside})
    batches = [whole.slice(i, BATCH) for i in range(0, len(texts), BATCH)]
    calls: dict[str, Callable[[Any], object]] = {}
    for name in SCORERS:
        scorer = get_scorer(name)
        ctx = Context(params=scorer.parse_params({}))
        try:
            ctx.model = scorer.load(ctx) if scorer.load else None
        except Missing as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        calls[name] = partial(_call, scorer.function, ctx)

    def run(names: tuple[str, ...]) -> None:
        for batch in batches:
            _chars._LAST = None
            for name in names:
                calls[name](batch)

    return {name: rate(partial(run, (name,)), len(texts)) for name in calls} | {
        TOGETHER: rate(partial(run, RULES), len(texts))
    }


def _call(function: Callable[..., object], ctx: Any, batch: Any) -> object:
    return function(batch, ctx)


def theirs(texts: list[str]) -> dict[str, float]:
    """datatrove's filters of the same rules, one document at a time as they are written."""
    from datatrove.data import Document
    from datatrove.pipeline import filters

    never, top, duplicate = 1e9, range(2, 5), range(5, 11)
    peers = {
        "gopher_quality": filters.GopherQualityFilter(1e-9, never, 1e-9, never, never, never, never, 1e-9, 1e-9),
        "gopher_repetition": filters.GopherRepetitionFilter(
            never, never, never, never, tuple((n, never) for n in top), tuple((n, never) for n in duplicate)
        ),
        "fineweb_lines": filters.FineWebQualityFilter(None, -1, False, None, never, 30, never, never),
        "c4_lines": filters.C4QualityFilter(min_num_sentences=0),
    }

    def run(names: tuple[str, ...]) -> None:
        for text in texts:
            for name in names:
                peers[name].filter(Document(text=text, id="0"))

    return {name: rate(partial(run, (name,)), len(texts)) for name in peers} | {
        TOGETHER: rate(partial(run, RULES), len(texts))
    }


def ask_peer(python: str, texts: list[str]) -> dict[str, float]:
    """`theirs`, in another environment."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(texts, file)
        file.flush()
        done = subprocess.run([python, __file__, "--as-peer", file.name], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", help="JSONL file with a field `text`; default: the standard library's sources")
    parser.add_argument("--count", type=int, default=4096, help="documents")
    parser.add_argument("--length", type=int, default=725, help="characters of a document")
    parser.add_argument("--peer", help="interpreter of an environment that holds datatrove[io,processing]")
    parser.add_argument("--as-peer", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.as_peer:
        print(json.dumps(theirs(json.loads(Path(given.as_peer).read_text("utf-8")))))
        return
    texts = documents(given.texts, given.count, given.length)
    peer = ask_peer(given.peer, texts[: min(1000, len(texts))]) if given.peer else {}
    print(f"{len(texts)} documents of {given.length} characters, per CPU second")
    for name, value in ours(texts).items():
        ratio = f"   datatrove {peer[name]:8,.0f}   {value / peer[name]:6.1f}x" if name in peer else ""
        print(f"  {name:18s} {value:10,.0f}{ratio}")


if __name__ == "__main__":
    main()
