"""Cold reads of a mix on an object store: what a start, a resume and each sample cost in requests, bytes and seconds.

    python benchmarks/object_store.py
    python benchmarks/object_store.py --rows 200000 --samples 20000

The store is the S3 emulator of the package `moto`, a process of its own on this machine: it answers without a network's
delay but slowly (it reads an object whole for every range), so that requests and bytes are what to compare. They are
counted at the server, listings and heads included. Every row is a fresh process with
nothing cached: "open" is the catalog, the lock and the tables; "first" the first batch of 256 after it, from the beginning
or from a random index; then batches up to --samples. A table of 10^9 rows cannot be held by the emulator: the start of such
a mix is measured by benchmarks/mix_scale.py, what its rows cost here.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from _documents import documents

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
COUNTED = "/counted-since-last"
MIXES = {"full": {"shuffle": "full"}, "blocks": {"shuffle": "blocks"}}


class Counting:
    """The emulator with a count of its answers; asked at COUNTED it tells them and begins anew."""

    def __init__(self, app: Any) -> None:
        self.app, self.requests, self.sent = app, 0, 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == COUNTED:
            told = {"requests": self.requests, "bytes": self.sent}
            self.requests, self.sent = 0, 0
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(told).encode()]
        self.requests += 1
        return self._counted(self.app(environ, start_response))

    def _counted(self, body: Any) -> Any:
        for piece in body:
            self.sent += len(piece)
            yield piece


def serve() -> None:
    """The emulator, until this process is ended; prints its port."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = Counting(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def prepare(home: Path, rows: int, a_file: int) -> None:
    from catalog import Catalog
    from catalog.mixes import publish
    from catalog.testing import append_texts

    cat = Catalog.open(home)
    append_texts(cat, "texts", documents(rows, copies=0.0), fragments=-(-rows // a_file))
    for name, order in MIXES.items():
        publish(cat, {"name": name, "parts": [{"dataset": "texts", "weight": 1, "max_epochs": 20}], "order": order})


def start(home: Path, name: str, at: float, samples: int, local: bool) -> dict[str, float]:
    """What one process does."""
    began = time.perf_counter()
    from catalog import Catalog

    mix: Any = Catalog.open(home).mix(name)
    seen = {"open": time.perf_counter() - began, **{f"open {key}": value for key, value in told().items()}}
    if local:
        began = time.perf_counter()
        mix = mix.local(["text"])
        seen |= {"copy": time.perf_counter() - began, **{f"copy {key}": value for key, value in told().items()}}
    began, count = time.perf_counter(), 0
    for batch in mix.batches(int(at * (len(mix) - samples)), batch_rows=256, columns=["text"]):
        count += batch.num_rows
        if count == batch.num_rows:
            seen["first"], began = time.perf_counter() - began, time.perf_counter()
        if count >= samples:
            break
    seen["rate"] = (count - 256) / (time.perf_counter() - began)
    return seen | {key: value / count for key, value in told().items()} | {"samples": count}


def told() -> dict[str, float]:
    with urllib.request.urlopen(os.environ["STRATA_S3_ENDPOINT"] + COUNTED) as answer:
        return json.load(answer)


def show(label: str, seen: dict[str, float]) -> None:
    print(f"{label:28}{seen['open']:7.2f} s{seen['open requests']:6.0f}{seen['first']:8.2f} s{seen['requests']:12.4f}"
          f"{seen['bytes']:13,.0f}{seen['rate']:11,.0f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--file", type=int, default=10_000, help="rows of one data file")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--start", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve()
        return
    if given.start:
        home, name, at, local = given.start
        print(json.dumps(start(Path(home), name, float(at), given.samples, local == "local")))
        return
    command = [sys.executable, __file__]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([*command, "--serve"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            endpoint = f"http://127.0.0.1:{server.stdout.readline().strip()}"
            os.environ |= {**KEYS, "STRATA_S3_ENDPOINT": endpoint, "STRATA_TABLES_URI": "s3://bench/tables"}
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bench", method="PUT")).close()
            measure(Path(folder) / "home", given, command)
        finally:
            server.kill()


def measure(home: Path, given: argparse.Namespace, command: list[str]) -> None:
    prepare(home, given.rows, given.file)
    told()
    print(f"{given.rows:,} texts in files of {given.file:,} rows, {given.samples:,} samples a start")
    print(f"{'':28}{'open':>9}{'req.':>6}{'first':>10}{'req./sample':>12}{'bytes/sample':>13}{'samples/s':>11}")
    middle = random.Random(0).random()
    for label, name, at, local in (
        ("full, start", "full", 0.0, ""),
        ("full, resume", "full", middle, ""),
        ("blocks, start", "blocks", 0.0, ""),
        ("blocks, resume", "blocks", middle, ""),
        ("full, local copy made", "full", 0.0, "local"),
        ("full, local copy, resume", "full", middle, "local"),
    ):
        run = [*command, "--samples", str(given.samples), "--start", str(home), name, str(at), local]
        seen = json.loads(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
        show(label, seen)
        if "copy" in seen:
            print(
                f"{'':28}made in {seen['copy']:.2f} s with {seen['copy requests']:.0f} requests, {seen['copy bytes']:,.0f} bytes"
            )


if __name__ == "__main__":
    main()
