"""Golden probabilities of the official package (fasttext-wheel 0.9.2, one thread) on a made corpus.

Run where fasttext-wheel and numpy < 2 are installed; it shares a module name with fasttext-predict, so not here:
python make_fasttext_golden.py > data/fasttext_golden.json. Every word has a count of its own, because the package
breaks ties in an order that depends on its standard library.
"""

import json
import random
import sys
import tempfile

import fasttext

RUNS = ((16, 5, 0.1, 5_000, 0), (32, 25, 0.5, 200_000, 7), (100, 5, 0.1, 2_000_000, 0))
rng = random.Random(5)
words = [f"w{i}" + ("é" if i % 7 == 0 else "") for i in range(60)]
pool = [word for i, word in enumerate(words) for _ in range(i + 3)]
rng.shuffle(pool)
texts, at = [], 0
while at < len(pool):
    size = rng.randint(6, 40)
    texts.append(pool[at : at + size])
    at += size
labels = [int(sum(int(word[1:].rstrip("é")) % 2 for word in text) * 2 > len(text)) for text in texts]
queries = [" ".join(rng.choice([*words, "new", "other", "日本"]) for _ in range(rng.randint(0, 30))) for _ in range(20)]
out = {"texts": [" ".join(text) for text in texts], "labels": labels, "queries": queries, "runs": []}
with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
    file.writelines(f"__label__{'hq' if y else 'cc'} {' '.join(text)}\n" for text, y in zip(texts, labels))
    file.flush()
    for dim, epochs, rate, buckets, seed in RUNS:
        options = {"wordNgrams": 2, "dim": dim, "epoch": epochs, "lr": rate, "bucket": buckets, "seed": seed}
        model = fasttext.train_supervised(file.name, thread=1, verbose=0, **options)
        found = [dict(pair[::-1] for pair in model.f.predict(query + "\n", 2, 0.0, "strict")) for query in queries]
        run = {"dim": dim, "epochs": epochs, "rate": rate, "buckets": buckets, "seed": seed}
        out["runs"].append(run | {"probability": [one["__label__hq"] for one in found]})
json.dump(out, sys.stdout, ensure_ascii=False)
