"""Run dolma's paragraph de-duplication (Bloom filter, Rust) over a folder; for benchmarks/units.py, in dolma's environment.

    PYTHON-WITH-DOLMA benchmarks/_dolma_paragraphs.py FOLDER UNITS SHORTEST

The compiled part is loaded by itself, as what dolma's command line calls in the end.
"""

import glob
import importlib.util
import json
import resource
import sys
import sysconfig

folder, units, shortest = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
place = glob.glob(sysconfig.get_paths()["platlib"] + "/dolma/dolma.*.so")[0]
spec = importlib.util.spec_from_file_location("dolma", place)
dolma = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dolma)
attribute = {"attribute_name": "again", "paragraph_separator": "\n"}
dolma.deduper_entrypoint(
    json.dumps(
        {
            "documents": sorted(glob.glob(f"{folder}/documents/*.gz")),
            "work_dir": {"input": f"{folder}/in", "output": f"{folder}/out"},
            "dedupe": {
                "name": "again", "skip_empty": True, "min_length": shortest, "min_words": 0, "num_partitions": 1,
                "partition_index": 0, "file_partition": False, "document_dir": "documents", "paragraphs": attribute,
            },
            "bloom_filter": {
                "file": f"{folder}/bloom.bin", "read_only": False, "size_in_bytes": 0,
                "estimated_doc_count": units, "desired_false_positive_rate": 1e-5,
            },
            "processes": 1, "is_s3_volume": False,
        }
    )
)  # fmt: skip
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}))
