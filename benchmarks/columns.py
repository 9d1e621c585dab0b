"""What a column costs and what it never costs again.

    python benchmarks/columns.py --rows 1000000

1. bytes: a score column on N rows, bytes written against its own bytes (8 or 4 a value, 1 for its state).
2. promotion: N unchanged rows to the next tier; measures computed during and after it (must be 0).
3. reuse: pages with a language-model measure in one dataset, copied into a second: forward passes there (must be 0).

Texts are recombined from real paragraphs, 20 % of them near copies of the one before (benchmarks/_documents.py).
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def data_bytes(uri: str) -> int:
    return sum(path.stat().st_size for path in Path(uri).rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--pages", type=int, default=24, help="rows with a language-model measure")
    options = parser.parse_args()
    from benchmarks._documents import documents
    from catalog import Catalog
    from catalog.testing import append_texts
    from flows import score

    with tempfile.TemporaryDirectory(prefix="strata-bench-") as home:
        cat = Catalog.open(home)
        chunk = 200_000
        for start in range(0, options.rows, chunk):
            append_texts(cat, "web", documents(min(chunk, options.rows - start), seed=start))
        uri = cat.table_uri(cat.find("web"))
        before, began = data_bytes(uri), time.perf_counter()
        score(cat, "web", ["text_length"])
        took, wrote = time.perf_counter() - began, data_bytes(uri) - before
        held = [c for c in cat.columns("web") if c.scorer == "text_length"]
        own = sum(pa.type_for_alias(c.type).bit_width // 8 for c in held) + 1
        print(f"score column   {options.rows:,} rows x {len(held)} columns in {took:.1f} s: "
              f"{wrote:,} bytes written, {own * options.rows:,} own bytes, ratio {wrote / (own * options.rows):.3f}")  # fmt: skip

        began = time.perf_counter()
        _contract_free_copy(cat)
        print(f"promotion      {options.rows:,} unchanged rows in {time.perf_counter() - began:.1f} s")
        again = score(cat, "web-next", ["text_length"])
        print(f"after it       computed {again.counts['computed']}, reused {again.counts['reused']} (both must be 0)")

        pages = documents(options.pages, seed=99)
        append_texts(cat, "pages", pages)
        began = time.perf_counter()
        first = score(cat, "pages", ["lm_stats"], params={"max_tokens": 128})
        spent = time.perf_counter() - began
        append_texts(cat, "mirror", pages[::-1])
        began = time.perf_counter()
        second = score(cat, "mirror", ["lm_stats"], params={"max_tokens": 128})
        print(f"same pages     first dataset computed {first.counts['computed']} in {spent:.1f} s; "
              f"second computed {second.counts['computed']}, reused {second.counts['reused']} "
              f"in {time.perf_counter() - began:.1f} s")  # fmt: skip
    print(f"peak memory    {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def _contract_free_copy(cat) -> None:
    """The writing half of a promotion, without the contract, which asks for columns that are not measured here."""
    from catalog.runs import run
    from flows.promotion import Promotion, PromotionReport
    from flows.recipe import load_recipe
    from flows.waterfall import Waterfall, expressions

    body = load_recipe({"name": "all", "to": "L1"})
    found = cat.resolve("web")
    report = PromotionReport(found.ref, "web-next", "L1", False, Waterfall("chars", list(expressions(body, None))))
    with run(cat, "promote", "bench", dataset="web") as record:
        Promotion(cat, found, body, None, "web-next", report, record.id, "bench", None).execute()


if __name__ == "__main__":
    main()
