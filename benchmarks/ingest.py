"""Ingest of distinct real-text documents into a fresh catalog, against its peers, one after the other in this run.

    python benchmarks/ingest.py                     # 1,000,000 documents of about 600 bytes
    python benchmarks/ingest.py --rows 200000 --repeat 3

Documents are recombined from the sentences of examples/data (web pages, encyclopedia, word problems, guides in many
languages; one language a document), so that no two are equal; one in 20,000 is long, up to 1 MB. Each peer runs in a
process of its own on the same file, which is read once before, so that all find it in the page cache:

    strata ingest          the whole verb: fingerprint, mapping, content hash, sample id, repeats, quarantine, Lance, publish
    load_dataset("json")   Hugging Face datasets, into an empty cache
    pyarrow.json -> Lance  the bare parse and write of the columns as they are, with Lance's default compression
      the same, plain      with text, ids and meta uncompressed, as Strata's tables are
    orjson -> Lance, plain the bare parse line by line and write
    orjson                 the bare parse

Seconds exclude imports. The peak is the resident memory of the process and its children, sampled every 20 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SOURCES = {
    "web_quality_dclm.jsonl": 0.55,
    "encyclopedia_wikitext2.jsonl": 0.2,
    "math_gsm8k_train.jsonl": 0.1,
    "multilingual_opensource_guide.jsonl": 0.15,
}
LONG = 1 / 20_000
PLAIN = {"lance-encoding:compression": "none"}


def sentences(texts: list[str]) -> list[str]:
    """Distinct sentences of 40 to 400 characters."""
    parts = (
        part.strip() for text in texts for line in text.split("\n") for part in line.replace("。", ". ").split(". ")
    )
    return sorted({part for part in parts if 40 < len(part) < 400})


def pools() -> tuple[list[list[str]], list[float]]:
    """Sentences by source, and by language where a source has many; with the share of documents each gets."""
    found, shares = [], []
    for name, share in SOURCES.items():
        rows = [json.loads(line) for line in (ROOT / "examples/data" / name).open("rb")]
        groups: dict[str, list[str]] = {}
        for row in rows:
            groups.setdefault(row.get("lang", ""), []).append(row.get("text") or f"{row['question']}\n{row['answer']}")
        held = [part for part in map(sentences, groups.values()) if len(part) > 20]
        found += held
        shares += [share / len(held)] * len(held)
    return found, shares


def write_documents(path: Path, rows: int, seed: int = 0) -> dict[str, Any]:
    """Write distinct documents as JSON lines with id, url and text; returns what they are like."""
    import orjson
    from xxhash import xxh3_64_intdigest

    rng, (held, shares) = random.Random(seed), pools()
    seen: set[int] = set()
    sizes, used, repeats, ascii_only = [], 0, 0, 0
    with path.open("wb") as file:
        while len(sizes) < rows:
            pool = rng.choices(held, shares)[0]
            target = int(10 ** rng.uniform(4, 6)) if rng.random() < LONG else 470
            parts, length = [], 0
            while length < target:
                parts.append(rng.choice(pool))
                length += len(parts[-1].encode()) + 2
            text = (". " if rng.random() < 0.5 else ".\n\n").join(parts) + "."
            digest = xxh3_64_intdigest(text.encode())
            if digest in seen:
                repeats += 1
                continue
            seen.add(digest)
            used += len(parts)
            ascii_only += text.isascii()
            number = len(sizes)
            row = {"id": f"doc-{number}", "url": f"https://example.org/{number % 977}/{number}", "text": text}
            sizes.append(file.write(orjson.dumps(row) + b"\n"))
    distinct = sum(map(len, held))
    return {
        "rows": rows, "bytes": sum(sizes), "bytes a row": round(sum(sizes) / rows), "median bytes": statistics.median(sizes),
        "longest": max(sizes), "ASCII only": round(ascii_only / rows, 3), "exact duplicates": 0, "rejected as duplicates": repeats,
        "distinct sentences": distinct, "uses of a sentence": round(used / distinct, 1),
    }  # fmt: skip


# -- peers: each is called in a process of its own and returns (seconds, more) ------------------------------------------


def strata(path: str, folder: str) -> tuple[float, dict[str, Any]]:
    import lance
    import pyarrow.compute
    import pyarrow.json  # noqa: F401

    import catalog.ingest.run  # noqa: F401
    from catalog import Catalog

    cat = Catalog.open(f"{folder}/home")
    began = time.perf_counter()
    report = cat.ingest([path], "web", licence="CC-BY-4.0")
    seconds = time.perf_counter() - began
    assert report.counts["in"] == report.counts["kept"] + report.counts["quarantined"] and lance
    return seconds, {"timings": report.timings, "counts": report.counts, "disk": _size(f"{folder}/home/tables")}


def hugging_face(path: str, folder: str) -> tuple[float, dict[str, Any]]:
    import datasets

    datasets.disable_progress_bars()
    began = time.perf_counter()
    loaded = datasets.load_dataset("json", data_files=path, cache_dir=f"{folder}/cache")
    return time.perf_counter() - began, {"rows": loaded["train"].num_rows, "disk": _size(f"{folder}/cache")}


def arrow_to_lance(path: str, folder: str, plain: bool = False) -> tuple[float, dict[str, Any]]:
    import lance
    import pyarrow as pa
    import pyarrow.json as reader

    began = time.perf_counter()
    batches = reader.open_json(path)
    schema = _plain(batches.schema) if plain else batches.schema
    stream = pa.RecordBatchReader.from_batches(
        schema, (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in batches)
    )
    lance.write_dataset(stream, f"{folder}/out.lance", schema=schema, data_storage_version="2.2")
    return time.perf_counter() - began, {"disk": _size(f"{folder}/out.lance")}


def arrow_to_plain_lance(path: str, folder: str) -> tuple[float, dict[str, Any]]:
    return arrow_to_lance(path, folder, plain=True)


def orjson_to_lance(path: str, folder: str) -> tuple[float, dict[str, Any]]:
    import lance
    import orjson
    import pyarrow as pa

    schema = _plain(pa.schema([(name, pa.string()) for name in ("id", "url", "text")]))

    def batches() -> Iterator[pa.RecordBatch]:
        rows = []
        with open(path, "rb") as file:
            for line in file:
                rows.append(orjson.loads(line))
                if len(rows) == 8192:
                    yield pa.RecordBatch.from_pylist(rows, schema=schema)
                    rows = []
        yield pa.RecordBatch.from_pylist(rows, schema=schema)

    began = time.perf_counter()
    stream = pa.RecordBatchReader.from_batches(schema, batches())
    lance.write_dataset(stream, f"{folder}/out.lance", schema=schema, data_storage_version="2.2")
    return time.perf_counter() - began, {"disk": _size(f"{folder}/out.lance")}


def orjson_alone(path: str, folder: str) -> tuple[float, dict[str, Any]]:
    import orjson

    began = time.perf_counter()
    with open(path, "rb") as file:
        for line in file:
            orjson.loads(line)
    return time.perf_counter() - began, {}


def _plain(schema: Any) -> Any:
    import pyarrow as pa

    return pa.schema([field.with_metadata(PLAIN) for field in schema])


def _size(folder: str) -> int:
    return sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names)


PEERS: dict[str, Callable[[str, str], tuple[float, dict[str, Any]]]] = {
    "strata ingest": strata,
    'load_dataset("json")': hugging_face,
    "pyarrow.json -> Lance": arrow_to_lance,
    "  the same, plain": arrow_to_plain_lance,
    "orjson -> Lance, plain": orjson_to_lance,
    "orjson": orjson_alone,
}


def measure(name: str, path: Path) -> dict[str, Any]:
    """Run a peer in a fresh process and watch its memory."""
    folder = tempfile.mkdtemp(prefix="strata-bench-", dir=path.parent)
    process = subprocess.Popen(
        [sys.executable, __file__, "--peer", name, str(path), folder], stdout=subprocess.PIPE, text=True
    )
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
    watcher.start()
    said, _ = process.communicate()
    watcher.join()
    shutil.rmtree(folder, ignore_errors=True)
    if process.returncode:
        raise SystemExit(f"{name} failed")
    return {**json.loads(said.splitlines()[-1]), "peak": peak[0]}


def _watch(process: subprocess.Popen, peak: list[int]) -> None:
    """The largest sum of resident bytes of a process and its descendants; shared pages count once a process."""
    page = os.sysconf("SC_PAGE_SIZE")
    while process.poll() is None:
        family, total = {process.pid}, 0
        for entry in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            except (OSError, IndexError):
                continue
            if entry in family or int(fields[1]) in family:
                family.add(entry)
                total += int(fields[21]) * page
        peak[0] = max(peak[0], total)
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3, help="rounds over all peers; the best of each counts")
    parser.add_argument("--folder", type=Path, help="where to work, kept afterwards; a temporary folder if not given")
    parser.add_argument("--json", type=Path, help="also write all measurements here")
    parser.add_argument("--peer", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer:
        name, path, folder = given.peer
        seconds, more = PEERS[name](path, folder)
        print(json.dumps({"seconds": seconds, **more}))
        return
    folder = given.folder or Path(tempfile.mkdtemp(prefix="strata-ingest-"))
    folder.mkdir(parents=True, exist_ok=True)
    path, facts_path = folder / f"documents-{given.rows}.jsonl", folder / f"documents-{given.rows}.facts.json"
    if not facts_path.exists():
        facts_path.write_text(json.dumps(write_documents(path, given.rows)))
    facts = json.loads(facts_path.read_text())
    print("documents: " + ", ".join(f"{name} {value:,}" for name, value in facts.items()), flush=True)
    path.read_bytes()
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in PEERS}
    for _ in range(given.repeat):
        for name in PEERS:
            found[name].append(measure(name, path))
    report(found, given.rows)
    if given.json:
        given.json.write_text(json.dumps({"documents": facts, "runs": found}, indent=1))
    if not given.folder:
        shutil.rmtree(folder, ignore_errors=True)


def report(found: dict[str, list[dict[str, Any]]], rows: int) -> None:
    """One line a peer: the best of its rounds, all seconds, time of Strata in units of the peer's, peak memory, disk."""
    best = {name: min(runs, key=lambda run: run["seconds"]) for name, runs in found.items()}
    ours = best["strata ingest"]
    print(f"\n{'':26}{'seconds':>9}{'rows/s':>11}{'strata / it':>13}{'peak MB':>9}{'disk MB':>9}   all rounds")
    for name, run in best.items():
        ratio, disk = ours["seconds"] / run["seconds"], run.get("disk", 0) / 1e6
        rounds = " ".join(f"{one['seconds']:.2f}" for one in found[name])
        print(
            f"{name:26}{run['seconds']:9.2f}{rows / run['seconds']:11,.0f}{ratio:13.2f}{run['peak'] / 1e6:9,.0f}{disk:9,.0f}   {rounds}"
        )
    print("\nwhere the time of strata ingest goes, seconds (phases of several threads overlap):")
    for what, seconds in sorted(ours["timings"].items(), key=lambda item: -item[1]):
        print(f"  {what:24}{seconds:7.2f}   {seconds / rows * 1e6:5.2f} us a row")


if __name__ == "__main__":
    main()
