"""Tokenise-and-pack beside the bare tokenizer, on the same texts in the same order.

    python benchmarks/pack.py
    python benchmarks/pack.py --rows 50000 --tokenizer path/to/tokenizer.json --length 8192

Both sides get token ids as NumPy arrays. The bare tokenizer has its texts in memory and calls `encode_batch_fast` on 1,024
at once; ours reads the shuffled mix from disk, tokenises, packs and lays out batches of 8 sequences. Rounds alternate;
"CPU us" is the time of all threads of this process a document, which hardly feels a busy machine, and the ratio is the
median of the paired ratios. "resume" is the time from a state in the middle to its first batch, with opening the mix.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from _documents import documents

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from catalog import Catalog
from catalog.mixes import publish
from catalog.pull.pack import PackedReader, pack, shares
from catalog.pull.tokens import PinnedTokenizer, open_tokenizer
from catalog.testing import append_texts


def bare(tokenizer: PinnedTokenizer, texts: list[str]) -> int:
    """Tokens of all texts, by the tokenizer alone."""
    count = 0
    for begin in range(0, len(texts), 1024):
        for found in tokenizer.raw.encode_batch_fast(texts[begin : begin + 1024], add_special_tokens=False):
            count += len(np.array(found.ids, np.int32))
    return count


def ours(packed: PackedReader) -> int:
    return sum(int((batch.documents > 0).sum()) for batch, _ in packed.batches(8))


def bundled() -> Path:
    from flows.models.bundled import folder

    return folder("smollm2-135m", "tokenizer", Path.home() / ".cache" / "strata" / "models")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--tokenizer", type=Path, default=None)
    given = parser.parse_args()
    tokenizer = open_tokenizer(given.tokenizer or bundled(), end=None if given.tokenizer else "<|endoftext|>")
    with tempfile.TemporaryDirectory() as folder:
        cat, texts = Catalog.open(Path(folder) / "home"), documents(given.rows, copies=0.0)
        append_texts(cat, "texts", texts)
        publish(cat, {"name": "bench", "parts": [{"dataset": "texts", "weight": 1}]})
        packed = pack(cat.mix("bench"), tokenizer, given.length, window=given.window)
        sides = {"bare": lambda: bare(tokenizer, texts), "packed": lambda: ours(packed)}
        spent: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(given.rounds + 1):
            for name, run in list(sides.items())[:: 1 if number % 2 else -1]:
                began = time.process_time()
                tokens = run()
                if number:  # the first round warms up
                    spent[name].append(time.process_time() - began)
                if name == "packed":
                    assert tokens == bare(tokenizer, texts) + len(texts), "every token and every end, once"
        ratios = [a / b for a, b in zip(spent["bare"], spent["packed"], strict=True)]
        for name, times in spent.items():
            print(f"{name:8}{1e6 * median(times) / len(texts):9.1f} CPU us a document")
        print(f"packed reaches {100 * median(ratios):.1f} % of the bare tokenizer's rate "
              f"({100 * min(ratios):.1f} to {100 * max(ratios):.1f})")  # fmt: skip
        print({name: round(value, 4) for name, value in shares(packed, range(packed.windows)).items()})
        began = time.perf_counter()
        again = pack(cat.mix("bench"), tokenizer, given.length, window=given.window)
        place = again.find(again.count() // 2)
        next(again.batches(8, place=again.place_of(again.state(place))))
        print(f"resume in the middle: {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
