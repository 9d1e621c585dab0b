"""datatrove's MinHash pipeline on a JSON-lines file, in an interpreter that has it; prints seconds and what it keeps.

    PYTHON _datatrove_minhash.py FILE FOLDER

Word 5-grams, 14 buckets of 8 hashes, 64-bit xxhash, one task: its four stages one after the other, as its example does.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.logging import logger
from datatrove.utils.typeshelper import Languages


def main(file: str, folder: str) -> None:
    logger.remove()
    config = MinhashConfig(hash_config=HashConfig(precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5)
    reader = JsonlReader(str(Path(file).parent), glob_pattern=Path(file).name)
    out = Path(folder)
    start = time.process_time(), time.perf_counter()
    signature = MinhashDedupSignature(str(out / "s"), config=config, language=Languages.english)
    for _ in signature.run(reader.run(rank=0, world_size=1), rank=0, world_size=1) or ():
        pass
    buckets = MinhashDedupBuckets(str(out / "s"), str(out / "b"), config=config)
    for bucket in range(14):
        buckets.run(rank=bucket, world_size=14)
    MinhashDedupCluster(str(out / "b"), str(out / "r"), config=config).run()
    kept = []
    step = MinhashDedupFilter(str(out / "r"), exclusion_writer=JsonlWriter(str(out / "x"), compression=None))
    for document in step.run(reader.run(rank=0, world_size=1), rank=0, world_size=1):
        kept.append(document.id)
    took = time.process_time() - start[0]
    print(json.dumps({"cpu": took, "wall": time.perf_counter() - start[1], "kept": kept}))


if __name__ == "__main__":
    main(*sys.argv[1:])
