"""Evolved ranking on planted samples: what is asked, what is learned, and its held-out correlation by SciPy and scikit-learn."""

import re

import numpy as np
import orjson
import pyarrow as pa
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from catalog.plugins import Context
from flows.endpoints.ask import Reply
from flows.endpoints.wire import Answer
from flows.scorers.combine._students import BUCKETS
from flows.scorers.judge._evolved import EvolvedParams, fit
from flows.scorers.ngram._linear import unit_matrix

ORACLES = {
    "judge_evolved_complexity": "planted steps, whose scores are known, and the student by scikit-learn and SciPy",
    "judge_evolved_quality": "planted steps, whose scores are known, and the student by scikit-learn and SciPy",
}
SUBJECTS = ["rain", "trade", "iron", "birds", "bread", "ships", "law", "music"]


def scripted(ask):
    """Rewriting adds a word, and scores are ranks by how often it stands there."""
    texts = [text for _, text in re.findall(r"^(={8}[0-9a-f]{12})\n(.*?)\n\1$", ask, re.S | re.M)]
    if "Rewrite" in ask:
        return orjson.dumps({"rewritten": texts[-1] + " moreover"}).decode()
    counts = [text.split().count("moreover") for text in (texts if "instructions by" in ask else texts[1:])]
    return orjson.dumps({f"score_{n}": sorted(counts).index(c) + 1 for n, c in enumerate(counts, 1)}).decode()


@pytest.mark.parametrize("what", ["complexity", "quality"])
def test_the_planted_steps_come_back(what):
    asked = []

    def ask(questions):
        asked.extend(questions)
        return [Reply(q, Answer(scripted(q.messages[0][1]), "stop", 1, 1)) for q in questions]

    rows = [
        [{"role": "user", "content": f"Tell me about {SUBJECTS[n % 8]} number {n}"},
         {"role": "assistant", "content": f"Much is known of {SUBJECTS[n % 8]} {n}."}]
        for n in range(20)
    ]  # fmt: skip
    ids = [f"{n:032x}" for n in range(20)]
    batch = pa.record_batch({"sample_id": ids, "content_id": ids, "messages": pa.array(rows)})
    ctx = Context(params=EvolvedParams(endpoint="e", seeds=20, steps=3, floor=-1), ask=ask)
    report = fit(what, lambda columns=None: iter([batch]), ctx)["report"]
    assert len(asked) == 20 * 3 + 20 and (report["seeds"], report["variants"], report["steps_that_rose"]) == (20, 80, 1)
    order = [int(q.sample_id, 16) for q in asked[:20]]
    texts, wanted, owner = [], [], []
    for n in order:
        for step in range(4):
            instruction, response = (turn["content"] for turn in rows[n])
            more = " moreover" * step
            texts.append(instruction + more if what == "complexity" else f"{instruction}\n\n{response}{more}")
            wanted.append(step + 1.0)
            owner.append(str(order.index(n)))
    features, wanted = unit_matrix(texts, BUCKETS), np.array(wanted)
    guess = np.zeros(80)
    for learn, test in GroupKFold(5, shuffle=True, random_state=0).split(wanted, groups=owner):
        guess[test] = (
            Ridge(alpha=1.0, solver="lsqr", tol=1e-6).fit(features[learn], wanted[learn]).predict(features[test])
        )
    assert report["spearman"] == pytest.approx(spearmanr(guess, wanted).statistic, abs=1e-3)
    assert report["spearman"] > 0.7
