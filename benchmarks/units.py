"""Repeated paragraphs: `unit_dup` beside dolma's Bloom filter over the same gzipped JSON lines, one after the other.

    python benchmarks/units.py --rows 50000 [--dolma PYTHON-WITH-DOLMA] [--rounds 3]

Processor seconds. dolma reads gzipped JSON and writes gzipped attributes; ours is timed on texts in memory, and with
reading and parsing the same file. Counts of repeats differ by the Bloom filter's false positives (1e-5 wanted) alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._documents import documents

SHORTEST = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dolma", metavar="PYTHON", help="an interpreter that has dolma, whose pins are its own")
    given = parser.parse_args()
    texts = documents(given.rows)
    size, units = sum(map(len, texts)), sum(text.count("\n") + 1 for text in texts)
    print(f"{len(texts):,} documents, {units:,} lines, {size / 1e6:.0f} MB")
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "documents" / "part.jsonl.gz"
            path.parent.mkdir()
            with gzip.open(path, "wb", compresslevel=1) as file:
                for at, text in enumerate(texts):
                    file.write(orjson.dumps({"id": str(at), "text": text, "source": "benchmark"}) + b"\n")
            began = time.process_time()
            with gzip.open(path) as file:
                read = [orjson.loads(line)["text"] for line in file]
            reading = time.process_time() - began
            began = time.process_time()
            again = ours(read)
            alone = time.process_time() - began
            line = f"strata {alone:.2f} s, with reading {alone + reading:.2f} s: {again:,} repeats"
            if given.dolma:
                seconds, found = dolma(folder, given.dolma, units)
                line += f"; dolma {seconds:.2f} s: {found:,} repeats; ratio {seconds / (alone + reading):.2f}"
            print(line, flush=True)


def ours(texts: list[str]) -> int:
    from catalog.plugins import Context
    from flows.scorers.dedup.unit_dup import Params, unit_dup

    def scan():
        return (pa.record_batch({"text": texts[at : at + 1024]}) for at in range(0, len(texts), 1024))

    params = Params(unit="line", shortest=SHORTEST)
    return sum(unit_dup(scan, Context(params=params))["unit_dup_count"].to_pylist())


def dolma(folder: str, python: str, units: int) -> tuple[float, int]:
    script = Path(__file__).with_name("_dolma_paragraphs.py")
    made = subprocess.run([python, str(script), folder, str(units), str(SHORTEST)], capture_output=True, text=True)
    if made.returncode:
        raise SystemExit(made.stderr[-2000:])
    found = 0
    for path in Path(folder).rglob("attributes/**/*.gz"):
        with gzip.open(path) as file:
            found += sum(len(json.loads(line)["attributes"]["again"]) for line in file)
    return json.loads(made.stdout.splitlines()[-1])["cpu"], found


if __name__ == "__main__":
    main()
