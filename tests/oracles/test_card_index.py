"""BM25 over cards against bm25s, the published implementation of Lù 2024 (arXiv:2407.03618)."""

import numpy as np
import pytest

from catalog.card_index import K1, B, CardIndex, Document, words_of
from catalog.testing import sentences


def test_words_score_as_in_bm25s():
    bm25s = pytest.importorskip("bm25s")
    texts = sentences(200, low=3, high=80)
    index = CardIndex([Document(str(at), {"note": text}) for at, text in enumerate(texts)])
    theirs = bm25s.BM25(method="lucene", k1=K1, b=B)
    theirs.index([words_of(text) for text in texts], show_progress=False)
    for query in sentences(20, seed=1, low=2, high=6):
        known = [word for word in dict.fromkeys(words_of(query)) if word in theirs.vocab_dict]
        wanted = theirs.get_scores(known) * (K1 + 1)  # Lucene leaves the constant factor out
        assert np.allclose(index.by_words(query, kin=0.0), wanted, atol=1e-4) and wanted.max() > 0
