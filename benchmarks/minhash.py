"""Near-duplicates: documents a second and recall against exact Jaccard; ours, datasketch, rensa with union-find.

    python benchmarks/minhash.py --rows 20000 [--data FILE.jsonl ...]
    python benchmarks/minhash.py --rows 4000 --seeds 20

All use word 5-grams, 112 permutations, 14 bands of 8 rows, and accept a candidate at an estimated similarity of 0.75.
The truth is every pair of exact Jaccard similarity >= 0.75 among the first 2,000 documents. The peers get the fastest
form of their interface that was found; tokenising is in their time as it is in ours.
Times are processor seconds. With --seeds, both are run under as many seeds and recall is compared seed by seed, beside what
probability says of these pairs: candidates by 1-(1-J^8)^14, and accepted, which also asks for 84 equal places of 112.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._documents import documents

PERMUTATIONS, BANDS, THRESHOLD, NGRAM = 112, 14, 0.75, 5
WORDS = re.compile(r"\w+")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--copies", type=float, default=0.2, help="share of near copies")
    parser.add_argument(
        "--data", nargs="*", default=[], help="JSON lines with a text field; default: Python's reference"
    )
    parser.add_argument("--skip", nargs="*", default=[], choices=["datasketch", "rensa"], help="peers to leave out")
    parser.add_argument(
        "--datatrove", metavar="PYTHON", help="an interpreter that has datatrove, whose pins are its own"
    )
    parser.add_argument("--seeds", type=int, default=0, help="compare recall with rensa's over this many seeds instead")
    given = parser.parse_args()
    if given.seeds:
        over_seeds(documents(given.rows, given.data, given.copies), given.seeds)
        return
    texts = documents(given.rows, given.data, given.copies)
    size = sum(map(len, texts))
    print(f"{len(texts)} documents, {size / len(texts):.0f} characters on average, {given.copies:.0%} near copies")
    pairs, exact = exact_pairs(texts[:2000])
    print(f"{(exact >= THRESHOLD).sum()} pairs of similarity >= {THRESHOLD} among the first 2,000")
    print(f"{'':20}{'docs/s':>10}{'MB/s':>8}{'recall':>9}{'recall at 0.85':>16}{'precision':>11}{'clustered':>11}")
    runs: dict[str, Callable[[list[str]], np.ndarray]] = {"strata": ours, "rensa": rensa, "datasketch": datasketch}
    for name, run in runs.items():
        if name in given.skip:
            continue
        run(texts[:50])  # imports and tables
        start = time.process_time()
        label = run(texts)
        seconds = time.process_time() - start
        same = label[pairs[:, 0]] == label[pairs[:, 1]]
        similar = exact >= THRESHOLD
        clustered = len(texts) - np.unique(label).size
        print(
            f"{name:20}{len(texts) / seconds:10,.0f}{size / seconds / 1e6:8.1f}{same[similar].mean():9.3f}"
            f"{same[exact >= 0.85].mean():16.3f}{similar[same].mean():11.3f}{clustered:11,}"
        )

    if given.datatrove:
        datatrove(texts, given.datatrove)


def over_seeds(texts: list[str], seeds: int) -> None:
    """Recall of true pairs, seed by seed: mean difference to rensa with its 95 % interval, and what the formula gives."""
    pairs, exact = exact_pairs(texts)
    true, similarity = pairs[exact >= THRESHOLD], exact[exact >= THRESHOLD]
    found: list[tuple[float, float]] = []
    for seed in range(seeds):
        labels = ours(texts, seed), rensa(texts, seed)
        found.append(tuple(float((one[true[:, 0]] == one[true[:, 1]]).mean()) for one in labels))  # type: ignore[arg-type]
    held = np.array(found)
    gap = held[:, 0] - held[:, 1]
    half = 2.09 * gap.std(ddof=1) / seeds**0.5  # Student, 19 degrees of freedom
    print(
        f"{len(true)} pairs of similarity >= {THRESHOLD} among {len(texts)} documents, {seeds} seeds; share in one cluster"
    )
    for name, column in zip(("strata", "rensa"), held.T, strict=True):
        print(f"{name:10} mean {column.mean():.4f}, from {column.min():.4f} to {column.max():.4f}")
    print(f"strata - rensa: {gap.mean():+.4f} [{gap.mean() - half:+.4f}, {gap.mean() + half:+.4f}]")
    odds = np.array([accepted(value) for value in similarity])
    candidate = 1 - (1 - similarity**8) ** BANDS
    print(f"by formula, pairs taken alone: candidates {candidate.mean():.4f}, accepted {odds.mean():.4f}")


def accepted(similarity: float) -> float:
    """Chance that a pair shares a band and agrees in 84 of 112 places: inclusion and exclusion over full bands."""
    rows = PERMUTATIONS // BANDS

    def none_full(equal: int) -> float:
        terms = (
            (-1) ** i * math.comb(BANDS, i) * math.comb(PERMUTATIONS - rows * i, equal - rows * i)
            for i in range(min(BANDS, equal // rows) + 1)
        )
        return sum(terms) / math.comb(PERMUTATIONS, equal)

    need = math.ceil(THRESHOLD * PERMUTATIONS)
    chance = (
        math.comb(PERMUTATIONS, k) * similarity**k * (1 - similarity) ** (PERMUTATIONS - k) * (1 - none_full(k))
        for k in range(need, PERMUTATIONS + 1)
    )
    return sum(chance)


def datatrove(texts: list[str], python: str) -> None:
    """Its pipeline keeps one row of a cluster, without saying which cluster: rows removed stand for recall."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.jsonl"
        file.write_text("".join(json.dumps({"text": t, "id": str(i)}) + "\n" for i, t in enumerate(texts)), "utf-8")
        script = Path(__file__).with_name("_datatrove_minhash.py")
        made = subprocess.run(
            [python, "-P", str(script), str(file), folder], capture_output=True, text=True, check=True
        )
        held = json.loads(made.stdout.splitlines()[-1])
    rate, size = len(texts) / held["cpu"], sum(map(len, texts))
    print(f"{'datatrove':20}{rate:10,.0f}{size / held['cpu'] / 1e6:8.1f}{'':34}{len(texts) - len(held['kept']):13,}")


def exact_pairs(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that share a shingle, and their exact Jaccard similarity."""
    sets = [shingles(text) for text in texts]
    holders: dict[str, list[int]] = {}
    for row, members in enumerate(sets):
        for member in members:
            holders.setdefault(member, []).append(row)
    pairs = sorted({pair for rows in holders.values() if len(rows) < 200 for pair in itertools.combinations(rows, 2)})
    exact = [len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in pairs]
    return np.array(pairs), np.array(exact)


def shingles(text: str) -> set[str]:
    words = WORDS.findall(text.lower())
    return {" ".join(words[i : i + NGRAM]) for i in range(max(len(words) - NGRAM + 1, 1))}


def ours(texts: list[str], seed: int = 0) -> np.ndarray:
    from catalog.plugins import Context
    from flows.scorers.dedup.minhash import Params, minhash

    def scan():
        return (pa.record_batch({"text": texts[i : i + 1024]}) for i in range(0, len(texts), 1024))

    return minhash(scan, Context(params=Params(threshold=THRESHOLD), seed=seed))["minhash_cluster"].to_numpy()


def rensa(texts: list[str], seed: int = 42) -> np.ndarray:
    from rensa import RMinHash

    parts = []
    for start in range(0, len(texts), 1024):
        sets = [list(shingles(text)) for text in texts[start : start + 1024]]
        parts.append(np.array(RMinHash.digest_matrix_from_token_sets(sets, PERMUTATIONS, seed).to_rows(), np.uint32))
    return banded(np.concatenate(parts))


def datasketch(texts: list[str]) -> np.ndarray:
    from datasketch import MinHash

    parts = []
    for text in texts:
        one = MinHash(num_perm=PERMUTATIONS, seed=1)
        one.update_batch([member.encode() for member in shingles(text)])
        parts.append(one.hashvalues)
    return banded(np.array(parts))


def banded(signature: np.ndarray) -> np.ndarray:
    """Buckets in dictionaries, verification, union-find: how scripts around these libraries do it."""
    parent = list(range(len(signature)))

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    rows = PERMUTATIONS // BANDS
    for band in range(BANDS):
        buckets: dict[bytes, list[int]] = {}
        for row, part in enumerate(signature[:, band * rows : (band + 1) * rows]):
            buckets.setdefault(part.tobytes(), []).append(row)
        for members in buckets.values():
            for a, b in itertools.combinations(members, 2):
                first, second = find(a), find(b)
                if first != second and (signature[a] == signature[b]).mean() >= THRESHOLD:
                    parent[max(first, second)] = min(first, second)
    return np.array([find(row) for row in range(len(signature))])


if __name__ == "__main__":
    main()
