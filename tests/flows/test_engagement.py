"""Junk by engagement against the paper's definition, one post at a time."""

from __future__ import annotations

import itertools
import json

import pyarrow as pa
import pytest

from catalog.plugins import Context, get_scorer
from catalog.testing import text_dataset
from flows import score
from flows.scorers.text.engagement import reactions

ORACLES = {
    "engagement": "the paper's definition, post by post",
}


def _defined(post: dict, tokens: int) -> str:
    popularity = post["likes"] + post["retweets"] + post["replies"] + post["quotes"]
    if popularity > 500 and tokens < 30:
        return "junk"
    return "control" if popularity <= 500 and tokens > 100 else "neither"


def test_sets_are_the_papers():
    fields = ("likes", "retweets", "replies", "quotes")
    posts = [
        dict(zip(fields, held, strict=True)) for held in itertools.product((0, 250, 251, 600), (0, 250), (0, 1), (0,))
    ]
    rows = [(post, tokens) for post in posts for tokens in (0, 29, 30, 100, 101, 5000)]
    scorer = get_scorer("engagement")
    batch = pa.record_batch({"meta": pa.array([json.dumps(post) for post, _ in rows]),
                             "tokens": pa.array([tokens for _, tokens in rows], pa.int32())})  # fmt: skip
    found = scorer.function(batch, Context(params=scorer.parse_params({})))
    names = {1: "junk", -1: "control", 0: "neither"}
    assert [names[code] for code in found["engagement_junk"].to_pylist()] == [_defined(*row) for row in rows]
    assert found["engagement"].to_pylist() == [sum(post.values()) for post, _ in rows]
    assert set(names.values()) == {_defined(*row) for row in rows}


@pytest.mark.parametrize(
    ("meta", "total"),
    [
        (None, None),
        ("{}", None),
        ('{"likes": 3}', 3),
        ('{"likes": 3.0, "replies": 2}', 5),
        ('{"likes": "3", "quotes": null}', None),
        ('{"likes": -1, "retweets": true, "replies": 0.5}', None),
        ('{"likes": 1e300, "replies": 1}', 1),
    ],
)
def test_only_counts_are_summed(meta, total):
    assert reactions(meta, ["likes", "retweets", "replies", "quotes"]) == total


def test_posts_of_a_dataset_are_sorted(cat, tmp_path):
    rows = [
        {"text": "so true", "hearts": 900},
        {"text": "a word and another " * 60, "hearts": 12},
        {"text": "nobody saw", "hearts": 1},
        {"text": "no counts here"},
    ]
    ref = text_dataset(cat, tmp_path, "posts", rows)
    score(cat, ref, ["engagement"], params={"counts": ["hearts"]})
    held = {row["text"][:7]: row["engagement_junk"]
            for batch in cat.scan(ref, ["text", "engagement_junk"]) for row in batch.to_pylist()}  # fmt: skip
    assert held == {"so true": 1, "a word ": -1, "nobody ": 0, "no coun": None}
