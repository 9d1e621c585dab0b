"""Agreement of quality scores with people: 499 web pages that the authors of DCLM labelled by hand, keep or not.

    python benchmarks/quality_auc.py
    python benchmarks/quality_auc.py --no-models

For every score the area under the ROC curve with DeLong's 95 % interval. Rules and statistics are taken as they are, in
the direction their declaration gives (those of no direction: in the better of the two, marked "best side", which
flatters them). Scores with a target get the shipped encyclopedia excerpt. What learns from the labels is measured out of
sample: five stratified folds, rows of equal text in one fold. The combinations are a logistic regression on all measures
of the text, one on the sentence vector, and the mean of the standardised out-of-fold scores of all that learn.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

DATA = Path(__file__).parent.parent / "examples" / "data"


def batch_of(texts: list[str], **columns: Any) -> pa.RecordBatch:
    from catalog.digests import content_id

    ids = [f"{i:032x}" for i in range(len(texts))]
    contents = [content_id("text", {"text": text}) for text in texts]
    return pa.record_batch({"sample_id": ids, "content_id": contents, "text": pa.array(texts, pa.string()), **columns})


def run(name: str, batch: pa.RecordBatch, target: pa.RecordBatch | None = None, **params: Any) -> dict[str, pa.Array]:
    """Outputs of one plug-in, fitted on the target first where it has a fit."""
    from catalog.plugins import Context, get_scorer

    plugin = get_scorer(name)
    ctx = Context(params=plugin.parse_params(params), dtype="float32")
    if plugin.load:
        ctx.model = plugin.load(ctx)
    if plugin.fit:
        ctx.target = lambda columns=None: iter([target])
        ctx.state = plugin.fit(lambda columns=None: iter([batch]), ctx)
    found = plugin.function(batch, ctx)
    return {out.name: found[out.name] for out in plugin.writes}


def number(values: pa.Array) -> np.ndarray | None:
    """As numbers, a missing one as the median; None for what is no number or does not vary."""
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    if (
        not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type))
        or values.null_count > len(values) / 2
    ):
        return None
    found = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    found = np.where(np.isnan(found), np.nanmedian(found), found)
    return found if np.ptp(found) else None


def out_of_fold(labels: np.ndarray, folds: list, fit_predict: Any) -> np.ndarray:
    score = np.zeros(len(labels))
    for train, test in folds:
        score[test] = fit_predict(train, test)
    return score


def logistic(features: np.ndarray, labels: np.ndarray, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer, StandardScaler

    def fit_predict(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        shape = QuantileTransformer(n_quantiles=100, output_distribution="normal", random_state=0)
        model = make_pipeline(shape, StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
        return model.fit(features[train], labels[train]).decision_function(features[test])

    return fit_predict


def bag(texts: list[str], labels: np.ndarray) -> Any:
    from flows.scorers.ngram._linear import train_logistic, unit_matrix

    features = unit_matrix(texts, 2**18)
    return lambda train, test: train_logistic(features[train], labels[train], 10.0).decision_function(features[test])


def fasttext(texts: list[str], labels: np.ndarray, **options: Any) -> Any:
    from flows.scorers.ngram._fasttext import margins, tokens, train

    split = [tokens(text) for text in texts]

    def fit_predict(chosen: np.ndarray, test: np.ndarray) -> np.ndarray:
        order = np.random.default_rng(0).permutation(chosen)
        settings = {"dim": 100, "buckets": 200_000, "seed": 0, "epochs": 5, "rate": 0.1} | options
        return margins(train([split[i] for i in order], labels[order], **settings), [split[i] for i in test])

    return fit_predict


def measures(batch: pa.RecordBatch, target: pa.RecordBatch) -> dict[str, tuple[np.ndarray, str | None]]:
    """Every numeric output of the text scorers, and of the n-gram scores against the target, with its direction."""
    from catalog.plugins import plugins

    found = {}
    for name, plugin in plugins("scorer").items():
        of_text = plugin.pattern == "map" and plugin.cost == "cpu" and plugin.reads == ("text",)
        if not of_text and name not in ("dsir", "ngram_perplexity"):
            continue
        for output, values in run(name, batch, target).items():
            if (held := number(values)) is not None:
                found[output] = (held, plugin.out(output).better)
    return found


def main() -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    from flows.scorers.ngram._agreement import auc_delong

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-models", action="store_true", help="leave out what runs a neural network")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    pages = [json.loads(line) for line in (DATA / "web_quality_dclm.jsonl").open(encoding="utf-8")]
    wiki = [json.loads(line)["text"] for line in (DATA / "encyclopedia_wikitext2.jsonl").open(encoding="utf-8")]
    texts, labels = [page["text"] for page in pages], np.array([page["label"] == 1 for page in pages])
    batch, target = batch_of(texts), batch_of([text for text in wiki if text])
    table: list[tuple[str, np.ndarray, str]] = []
    held = measures(batch, target)
    for name, (values, better) in held.items():
        sign = {"higher": 1, "lower": -1, None: 1 if auc_delong(labels, values)[0] >= 0.5 else -1}[better]
        table.append((name, sign * values, better or "best side"))
    split = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    folds = list(split.split(np.zeros(len(labels)), labels, batch["content_id"].to_pylist()))
    learned = {
        "quality_linear": bag(texts, labels),
        "fasttext_quality, DCLM's settings": fasttext(texts, labels),
        "fasttext_quality, 25 epochs at 0.5": fasttext(texts, labels, epochs=25, rate=0.5),
        "combination: all measures": logistic(np.column_stack([v for v, _ in held.values()]), labels, 0.02),
    }
    if not options.no_models:
        embedding = run("minilm", batch)["embedding"]
        vectors = embedding.flatten().to_numpy(zero_copy_only=False).reshape(len(texts), -1)
        near = run("target_similarity", batch_of(texts, embedding=embedding), target, rows=500)
        table += [(name, number(values), "higher") for name, values in near.items()]
        learned["sentence vector"] = logistic(vectors, labels, 0.02)
    scores = {name: out_of_fold(labels, folds, one) for name, one in learned.items()}
    parts = [(score - score.mean()) / score.std() for name, score in scores.items() if "DCLM" not in name]
    scores["combination: mean of the learned ones"] = np.mean(parts, axis=0)
    table += [(name, score, "learned") for name, score in scores.items()]
    print(
        f"{len(labels)} pages, {labels.sum()} of the better class\n\n| score | AUC | 95 % | direction |\n|---|---|---|---|"
    )
    for name, score, direction in sorted(table, key=lambda row: -auc_delong(labels, row[1])[0]):
        area, low, high = auc_delong(labels, score)
        print(f"| {name} | {area:.3f} | {low:.3f} to {high:.3f} | {direction} |")


if __name__ == "__main__":
    main()
