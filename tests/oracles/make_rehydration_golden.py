"""Make data/rehydration.json: published filtering rates by cluster size, and the repetitions published for them.

    git clone https://github.com/huggingface/fineweb-2 && python tests/oracles/make_rehydration_golden.py fineweb-2

Files misc/rehydration/distributions/LANGUAGE.json and weights/up_to_{05,10}_reps.json of that repository (Apache 2.0), at
the commit named below; rates are stored as published.
"""

import json
import subprocess
import sys
from pathlib import Path

COMMIT = "d0defb24f193bb9a5a11b8b14524a03c4858e1b6"
LANGUAGES = ("ita_Latn", "swh_Latn", "cym_Latn", "aai_Latn", "isl_Latn", "kao_Latn")


def main(repository: str) -> None:
    def read(path: str) -> dict:
        shown = subprocess.run(
            ["git", "-C", repository, "show", f"{COMMIT}:misc/rehydration/{path}"], capture_output=True
        )
        return json.loads(shown.stdout)

    weights = {most: read(f"weights/up_to_{most:02d}_reps.json") for most in (5, 10)}
    made = {}
    for name in LANGUAGES:
        held = read(f"distributions/{name}.json")
        made[name] = {
            "sizes": [*held["cluster_sizes"], held["tail_threshold"]],
            "rates": [*held["cluster_removal_rates"], held["tail_removal_rate"]],
            "kept": [*held["cluster_post_filtering_doc_counts"], held["tail_post_filtering_doc_counts"]],
            "global": held["global_removal_rate"],
            "repetitions": {str(most): weights[most][name] for most in weights},
        }
    Path(__file__).parent.joinpath("data", "rehydration.json").write_text(
        json.dumps(made, separators=(",", ":")) + "\n"
    )


if __name__ == "__main__":
    main(sys.argv[1])
