"""Writes data/mds_golden.json: a shard and its index by MosaicML's own MDSWriter, read back by its own reader.

    python -m venv /tmp/mds && /tmp/mds/bin/pip install mosaicml-streaming==0.13.0
    /tmp/mds/bin/python tests/oracles/make_mds_golden.py

mosaicml-streaming pins older versions of what Strata uses, so it has an environment of its own.
"""

import json
import sys
import tempfile
import types
from pathlib import Path

for name in ("streaming.vision", "streaming.multimodal"):  # need torchvision, and are not used
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name])["__all__"] = []

from streaming import LocalDataset, MDSWriter  # noqa: E402

COLUMNS = {"_epoch": "int32", "_index": "int64", "_part": "int32", "chars": "json", "messages": "json", "sample_id": "str",
           "score": "float64", "text": "str"}  # fmt: skip
ROWS = [
    {"_index": n, "_part": n % 2, "_epoch": 0, "sample_id": f"{n:032x}", "text": "héllo 東京 " * n, "score": n / 7,
     "chars": None if n == 1 else 9 * n, "messages": [{"role": "user", "content": "ü"}] if n == 2 else None}
    for n in range(4)
]  # fmt: skip

if __name__ == "__main__":
    if sys.argv[1:]:  # a folder that Strata exported: print what the official reader finds in it
        for row in LocalDataset(sys.argv[1]):
            print(json.dumps({key: value.item() if hasattr(value, "item") else value for key, value in row.items()}))
        sys.exit()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        with MDSWriter(out=str(out), columns=COLUMNS, size_limit=None, hashes=["sha256"]) as writer:
            for row in ROWS:
                writer.write(row)
        held = LocalDataset(str(out))
        assert [held[n]["text"] for n in range(4)] == [row["text"] for row in ROWS]
        golden = {
            "rows": ROWS,
            "index": json.loads((out / "index.json").read_text()),
            "shard": (out / "shard.00000.mds").read_bytes().hex(),
        }
    path = Path(__file__).parent / "data" / "mds_golden.json"
    path.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", "utf-8")
