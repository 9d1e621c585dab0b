"""Writes data/fineweb2_golden.json: verdicts of datatrove's filters with FineWeb2's configurations.

Run it with a clone of github.com/huggingface/fineweb-2 and the interpreter of an environment that holds
datatrove[io,processing]==0.10.1, spacy[ja], jieba, pythainlp, indic-nlp-library:

    python tests/oracles/make_fineweb2_golden.py path/to/fineweb-2

The texts are pieces of examples/data/multilingual_opensource_guide.jsonl, of 600 characters, and the Thai text below. For some languages the words are recorded too.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import yaml
from datatrove.data import Document
from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.utils.text import split_into_words

HERE = Path(__file__).parent
LANGUAGES = {
    "ar": "arb_Arab", "bg": "bul_Cyrl", "de": "deu_Latn", "el": "ell_Grek", "es": "spa_Latn", "fa": "fas_Arab",
    "fr": "fra_Latn", "hi": "hin_Deva", "hu": "hun_Latn", "id": "ind_Latn", "it": "ita_Latn", "ja": "jpn_Jpan",
    "nl": "nld_Latn", "pl": "pol_Latn", "pt": "por_Latn", "ro": "ron_Latn", "ru": "rus_Cyrl", "th": "tha_Thai",
    "tr": "tur_Latn", "zh": "cmn_Hani",
}  # fmt: skip
SIZE = 600
WITH_WORDS = ("ar", "de", "ja", "th", "zh")
THAI = (
    "หมู่บ้านแห่งนี้ตั้งอยู่ริมแม่น้ำสายใหญ่ ชาวบ้านส่วนใหญ่ทำนาและจับปลาเป็นอาชีพ ในตอนเช้าเด็ก ๆ จะเดินไปโรงเรียนที่อยู่ไม่ไกลจากวัด "
    "ส่วนผู้ใหญ่จะออกไปทำงานในทุ่งนา เมื่อถึงฤดูฝนน้ำในแม่น้ำจะสูงขึ้นมาก และบางปีก็ท่วมถนนของหมู่บ้าน ชาวบ้านจึงสร้างบ้านให้สูงกว่าพื้นดิน "
    "และมีเรือไว้ใช้ทุกบ้าน ในวันหยุดทุกคนจะมารวมกันที่วัดเพื่อทำบุญ ฟังเพลง และกินอาหารที่แต่ละบ้านทำมา"
)


def pieces() -> list[tuple[str, str]]:
    """(language, text): with its markup and links; plain paragraphs; and what the rules are made to find"""
    found = []
    for line in (HERE.parents[1] / "examples/data/multilingual_opensource_guide.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        plain = [part for part in row["text"].split("\n\n") if not re.search(r"[<>\[\]#*`{}|]|^[-\d]", part)]
        joined = "\n".join(part for part in plain if len(part) > 40)
        texts = [row["text"][3 * SIZE : 4 * SIZE], joined[:SIZE], joined[SIZE : 2 * SIZE]]
        texts += ["\n".join([joined[:150]] * 6), "\n".join(joined[:SIZE].split(" ")[:90]), joined[:90]]
        found += [(row["lang"].split("-")[0], text) for text in texts]
    return [*found, ("th", THAI), ("th", THAI[:200] * 5)]


def filters(config: Path, name: str) -> list:
    """The three filters as fineweb-2-pipeline.py sets them up."""
    given = yaml.safe_load((config / f"configs/{name}.yml").read_text("utf-8"))
    return [
        GopherRepetitionFilter(
            language=name, dup_para_frac=0, dup_line_char_frac=0, dup_para_char_frac=0,
            dup_line_frac=given["dup_line_frac"], top_n_grams=given["top_n_grams"], dup_n_grams=given["dup_n_grams"],
        ),
        FineWebQualityFilter(
            language=name, short_line_thr=999, char_duplicates_ratio=0.1, line_punct_thr=given["line_punct_thr"],
            new_line_ratio=given["new_line_ratio"],
        ),
        GopherQualityFilter(
            language=name, max_avg_word_length=given["max_avg_word_length"],
            min_avg_word_length=given["min_avg_word_length"], stop_words=given["stopwords"],
            max_non_alpha_words_ratio=given["max_non_alpha_words_ratio"], min_stop_words=2,
        ),
    ]  # fmt: skip


def main() -> None:
    made = {code: filters(Path(sys.argv[1]), name) for code, name in LANGUAGES.items()}
    rows, with_words = [], Counter()
    for code, text in pieces():
        if code not in made:
            continue
        said = [one.filter(Document(text=text, id="0")) for one in made[code]]
        row = {"language": code, "text": text, "verdicts": ["keep" if v is True else v[1] for v in said]}
        if code in WITH_WORDS and with_words[code] < 6:
            row["words"] = split_into_words(text, LANGUAGES[code])
            with_words[code] += 1
        rows.append(row)
    source = f"datatrove {version('datatrove')}, spacy {version('spacy')}; written by make_fineweb2_golden.py"
    body = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    target = HERE / "data/fineweb2_golden.json"
    target.write_text(f'{{"source": {json.dumps(source)}, "rows": [\n{body}\n]}}\n', "utf-8")


if __name__ == "__main__":
    main()
