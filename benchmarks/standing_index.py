"""The standing index: bytes a document, and the time to check and add documents to an index of many.

    python benchmarks/standing_index.py --held 200000 --add 20000 [--keys-only]

Documents are recombined from real paragraphs (`_documents.py`), 20 % of them near copies. Times are processor seconds.
--keys-only puts random keys in place of the signatures, so that an index of ten million documents can be looked up on a
small machine: lookup and memory are those of real keys, hashing is timed on its own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._documents import documents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held", type=int, default=20_000)
    parser.add_argument("--add", type=int, default=5_000)
    parser.add_argument("--keys-only", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (keys_only if given.keys_only else whole)(given.held, given.add, Path(folder))


def whole(held: int, add: int, folder: Path) -> None:
    from catalog import Catalog
    from catalog.index.held import held_of
    from catalog.index.standing import listed, refresh
    from catalog.testing import append_texts

    cat = Catalog.open(folder)
    texts = documents(held + add)
    for at in range(0, held, 50_000):
        append_texts(cat, "held", texts[at : min(at + 50_000, held)])
    start = time.process_time()
    refresh(cat)
    built = time.process_time() - start
    size = sum(record.bytes for record in listed(cat))
    print(f"index of {held:,} documents: {held / built:,.0f} documents/s, {size / held:.0f} bytes a document")
    append_texts(cat, "new", texts[held:])
    start = time.process_time()
    found = held_of(cat, cat.scan("new", ["content_id", "text"]), without=cat.find("new"))
    print(f"check and add {add:,} documents: {time.process_time() - start:.2f} s; {found.said()}")


def keys_only(held: int, add: int, folder: Path) -> None:
    from catalog.index.held import matches
    from catalog.index.segments import build, load, save
    from catalog.index.standing import sketch

    rng, bands = np.random.default_rng(0), sketch().bands
    start = time.process_time()
    segment = build(
        np.arange(held), np.zeros(held, np.uint32), ["web"], rng.integers(0, 1 << 63, (held, 2), dtype=np.uint64),
        rng.integers(0, 1 << 63, (held, bands), dtype=np.uint64), np.ones(held, bool),
    )  # fmt: skip
    print(f"sort {held:,} documents: {time.process_time() - start:.1f} s, {segment.bytes / held:.0f} bytes a document")
    save(segment, folder / "segment")
    found = load(folder / "segment")
    assert found is not None
    known = add // 5
    words = rng.integers(0, 1 << 63, (add, 2), dtype=np.uint64)
    words[:known] = segment.content[:, rng.integers(0, held, known)].T
    keys = rng.integers(0, 1 << 63, (add, bands), dtype=np.uint64)
    keys[:known, 3] = segment.keys[3, rng.integers(0, held, known)]
    del segment
    start, wall, hits = time.process_time(), time.perf_counter(), 0
    step = 100_000
    for at in range(0, add, step):
        same, _, _ = matches(
            found, words[at : at + step], keys[at : at + step], np.ones(len(words[at : at + step]), bool)
        )
        hits += np.unique(same).size
    print(
        f"look up {add:,} documents: {time.process_time() - start:.1f} s ({time.perf_counter() - wall:.1f} s of wall)"
    )
    assert hits == known
    start = time.process_time()
    texts = documents(5_000)
    made = time.process_time()
    sketch().keys(texts)
    rate = len(texts) / (time.process_time() - made)
    print(
        f"hash: {rate:,.0f} documents/s of {sum(map(len, texts)) / len(texts):.0f} characters, {add / rate:,.0f} s for them"
    )
    start = time.process_time()
    build(np.arange(add), np.zeros(add, np.uint32), ["web"], words, keys, np.ones(add, bool))
    print(f"sort the new segment: {time.process_time() - start:.1f} s")


if __name__ == "__main__":
    main()
