"""Writes flows/scorers/text/fineweb2.json: FineWeb2's filter settings for the languages that `langid` can name.

The settings are those of configs/<language>_<script>.yml in github.com/huggingface/fineweb-2 (Apache-2.0). Run it with a
clone of that repository and an interpreter that holds pyyaml and pycountry:

    python tests/oracles/make_fineweb2_thresholds.py path/to/fineweb-2

A two-letter code is taken for its ISO 639-3 language; a macrolanguage for the member with most documents in FineWeb2,
and a language for the script with most documents (fineweb2-language-distribution.csv).
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pycountry
import yaml

CODES = (
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da de diq "
    "dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo io is "
    "it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms mt mwl "
    "my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn sco sd sh "
    "si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu xal xmf yi yo yue zh"
).split()
"""Labels of fastText's lid.176."""
MEMBERS = {
    "als": "gsw", "ar": "arb", "az": "azj", "bh": "bho", "et": "ekk", "fa": "fas", "gn": "gug", "ku": "kmr", "lv": "lvs",
    "mg": "plt", "mn": "khk", "ms": "zsm", "ne": "npi", "no": "nob", "or": "ory", "ps": "pbt", "qu": "quy", "sh": "hrv",
    "sq": "als", "sw": "swh", "tl": "fil", "uz": "uzn", "yi": "ydd", "zh": "cmn",
}  # fmt: skip
"""Macrolanguages and codes that ISO 639-3 uses differently (lid.176's als is Alemannic)."""


def sizes(repo: Path) -> dict[str, int]:
    """Documents of each language and script."""
    with open(repo / "fineweb2-language-distribution.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row["subset"]: int(row["documents"]) for row in rows if row["split"] == "train"}


def main() -> None:
    repo = Path(sys.argv[1])
    documents = sizes(repo)
    out: dict[str, dict] = {}
    for code in CODES:
        language = pycountry.languages.get(alpha_2=code) if len(code) == 2 else pycountry.languages.get(alpha_3=code)
        alpha3 = MEMBERS.get(code) or (language and language.alpha_3)
        configs = sorted(repo.glob(f"configs/{alpha3}_*.yml"), key=lambda path: -documents.get(path.stem, 0))
        if configs:
            out[code] = {"config": configs[0].stem} | settings(yaml.safe_load(configs[0].read_text("utf-8")))
    rows = [f"  {json.dumps(code)}: {json.dumps(value, ensure_ascii=False)}" for code, value in out.items()]
    target = Path(__file__).parents[2] / "flows/scorers/text/fineweb2.json"
    target.write_text("{\n" + ",\n".join(rows) + "\n}\n", "utf-8")


def settings(config: dict) -> dict:
    """A configuration with the names of Strata's columns; thresholds as they are."""
    limits = {"dup_line_frac": config["dup_line_frac"]}
    limits |= {f"top_{n}gram_char_frac": limit for n, limit in config["top_n_grams"]}
    limits |= {f"dup_{n}gram_char_frac": limit for n, limit in config["dup_n_grams"]}
    return {
        "max": limits
        | {"newline_word_ratio": config["new_line_ratio"], "mean_word_length": config["max_avg_word_length"]},
        "min": {
            "line_punct_ratio": config["line_punct_thr"],
            "mean_word_length": config["min_avg_word_length"],
            "alpha_word_share": config["max_non_alpha_words_ratio"],
        },
        "stop_words": [str(word) for word in config["stopwords"]],
    }


if __name__ == "__main__":
    main()
