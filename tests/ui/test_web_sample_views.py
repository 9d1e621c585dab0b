"""One sample: sides compared word by word, changes to the parent, formulas and nothing else drawn, and why it is here."""

import html
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from catalog import Catalog
from catalog.testing import sentences, write_jsonl
from flows import promote, score
from ui.web.components import maths, words
from ui.web.testing import APP, markup, view

EVIL = "<script>window.hacked = 1</script>"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Pages of which some are dropped and one is edited on the way to L1; pairs; formulas."""
    folder = tmp_path_factory.mktemp("views")
    cat = Catalog.open(folder / "home")

    def ingest(name: str, rows: list, **facts) -> None:
        cat.ingest([write_jsonl(folder / f"{name}.jsonl", rows)], name, **facts)

    mail = sentences(1, seed=5, low=70, high=70)[0] + " Write to jane.roe@no-such-firm.net about it, please."
    ingest(
        "web", [{"text": text} for text in [*sentences(20, low=60, high=90), mail, "Too short by far."]], licence="MIT"
    )
    turn = {"role": "user", "content": "Spell it"}
    ingest("pairs", [{
        "prompt": [turn],
        "chosen": [{"role": "assistant", "content": f"It is right {EVIL} and kind"}],
        "rejected": [{"role": "assistant", "content": f"It is wrong {EVIL} and rude"}],
    }])  # fmt: skip
    ingest(
        "sums", [{"text": r"Solve $x^2 = 4$ now, not [this](http://evil.example). \[ x = \pm 2 \] It costs $5 or $6."}]
    )
    score(cat, "web", ["langid", "gopher_quality", "exact_dup", "minhash", "pii", "secrets"])
    rules = {"few_words": "word_count < 50", "copies": "NOT exact_dup_keep", "near_copies": "NOT minhash_keep",
             "secrets": "secrets_count > 0"}  # fmt: skip
    recipe = {
        "name": "short", "to": "L1", "kinds": ["text"], "missing": "keep", "edits": ["mask_pii"],
        "scores": ["langid", "gopher_quality", "exact_dup", "minhash", "pii", "secrets"],
        "drop": [{"name": name, "where": where} for name, where in rules.items()],
    }  # fmt: skip
    promote(cat, "web", "L1", recipe=recipe)
    return folder / "home"


def visit(home: Path, monkeypatch, **query) -> tuple[str, str, AppTest]:
    """Markup, words and the page of the samples tab."""
    monkeypatch.setenv("STRATA_HOME", str(home))
    at = AppTest.from_file(str(APP), default_timeout=120)
    text = view(at, "dataset", **{"tab": "samples", **query})
    return markup(at), text, at


def test_sides_of_a_preference_have_their_own_words_marked(home, monkeypatch):
    made, _, _ = visit(home, monkeypatch, ref="pairs")
    assert "<ins>right</ins>" in made and "<del>wrong</del>" in made
    assert "<ins>kind</ins>" in made and "<del>rude</del>" in made
    assert EVIL not in made


def test_a_dropped_row_says_by_which_rule_and_with_which_value(home, monkeypatch):
    made, text, _ = visit(home, monkeypatch, ref="web", where="verdict_web_l1 = 'few_words'")
    assert re.search(r"dropped: few_words\s+on the way to\s+web-l1\s+by the recipe short", text)
    assert re.search(r"few_words\s+drops where word_count < 50\s+word_count 4", text)
    assert "It came in from" in text
    assert 'role="alert"' not in made
    _, text, _ = visit(home, monkeypatch, ref="web-l1")
    assert re.search(r"Promoted from\s+web\s+by the recipe short", text)
    assert "4 rules passed" in text


def test_changes_to_the_parent_are_marked(home, monkeypatch):
    made, text, _ = visit(home, monkeypatch, ref="web-l1", parent="1", where="text LIKE '%Write to%'")
    assert "Changes to the parent" in text
    assert re.search(r"<del>jane[^<]*</del>", made)
    assert "<ins>" in made
    _, text, _ = visit(home, monkeypatch, ref="web-l1", parent="1")
    assert "It is as its parent was" in text


def test_formulas_are_drawn_and_nothing_else_is_markdown(home, monkeypatch):
    _, text, _ = visit(home, monkeypatch, ref="sums")
    assert "Formulas" in text
    _, _, at = visit(home, monkeypatch, ref="sums", maths="1")
    (drawn,) = [block.value for block in at.markdown if "x^2" in block.value]
    assert "$x^2 = 4$" in drawn and "$$\nx = \\pm 2\n$$" in drawn
    assert "\\[this\\]\\(http\\:\u2060\\/\\/evil\\.example\\)" in drawn  # no link: the joiner has no width
    assert r"\$5 or \$6" in drawn


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $6 more.", "US$20, A$30", "a $ b $ c", "$\\href{http://evil}{x}$", "$\\htmlClass{a}{b}$", "$`code`$",
        "price: $12.50. She paid $3", "$ x$", "![x](http://evil/y.png) <img src=x> :red[no] ~~s~~ # head `c` | a |",
    ],
)  # fmt: skip
def test_text_without_a_safe_formula_comes_back_as_it_was(text):
    made = maths.markdown(text)
    assert "$" not in re.sub(r"\\\$", "", made)
    assert re.sub(r"\\(.)", r"\1", re.sub("[\u200b\u2060]", "", made)) == text
    assert not re.search(r"(?<!\\)[\[\]<>`|#!]", made)


@pytest.mark.parametrize(
    ("text", "formula"),
    [("so $a_1$.", "$a_1$"), ("($x$)", "$x$"), (r"\(a+b\)", "$a+b$"), ("$$\na\n= b$$", "\n$$\na = b\n$$\n")],
)
def test_formulas_of_every_kind_are_found(text, formula):
    assert maths.has_formulas(text)
    assert formula in maths.markdown(text)


def test_words_that_differ_rebuild_both_texts():
    a, b = "The old grey cat sat, and sat.", "The young cat sat on it, and sat!"
    held = words.changes(a, b)
    assert held is not None
    assert "".join(part[1] for part in held) == a
    assert "".join(part[2] for part in held) == b
    assert all(part[1] == part[2] for part in held if part[0] == "same")
    assert words.sides("one two", "one three") == ("one <del>two</del>", "one <ins>three</ins>")
    assert words.merged("", EVIL) == f"<ins>{html.escape(EVIL)}</ins>"
    assert words.changes("a " * 5000, "b " * 5000) is None
    same = "w " * 100_000
    assert words.changes(same + "a", same + "b") is not None
