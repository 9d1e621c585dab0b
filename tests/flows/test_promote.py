"""Promotion: contracts refuse by name, every drop has a reason, columns travel, repeats are differences."""

import pytest
from sqlmodel import select

from catalog.errors import BadInput, NameTaken, NotFound, Refused
from catalog.meta.models import ColumnRecord, Edge
from catalog.plugins import get_scorer
from catalog.selections import count_selection
from catalog.testing import append_texts, attach_columns, errors_of, sentences, text_dataset
from catalog.tiers import CONTRACTS, Evidence, missing
from flows import promote, score
from flows.recipe import load_recipe, shipped


@pytest.fixture
def web(cat):
    texts = sentences(120, low=60, high=110)
    append_texts(
        cat, "web", [*texts, *texts[:10], "too short", f"Ask jane.doe@gmail.com about it. {texts[0][::-1]} {texts[1]}"]
    )
    return cat


def test_promotion_keeps_counts_reasons_and_columns(web):
    report = promote(web, "web", "L1")
    kept, total = report.waterfall.kept[0], report.waterfall.total[0]
    assert total == 132 and kept == web.resolve("web-l1").version.rows
    assert kept + sum(cell[0] for cell in report.waterfall.sequence.values()) == total
    verdict = next(c for c in web.columns("web") if c.alias == "verdict_web_l1")
    assert verdict.covered == total and verdict.statistics["facets"]["kept"] == kept
    assert verdict.statistics["facets"]["exact_duplicate"] == 10
    assert {"word_count", "language", "minhash_keep"} <= {c.alias for c in web.columns("web-l1")}
    edge = next(e for e in _edges(web, "promote") if e.target == "web-l1@v1")
    assert edge.source == "web@v1" and edge.details["waterfall"]["kept"][0] == kept
    assert errors_of(web) == []


def _edges(cat, verb):
    with cat.session() as session:
        return session.exec(select(Edge).where(Edge.verb == verb)).all()


def test_an_edited_row_keeps_its_id_and_loses_its_columns(web):
    report = promote(web, "web", "L1")
    assert report.edited == 1
    row = next(
        r
        for b in web.scan("web-l1", ["sample_id", "content_id", "text"])
        for r in b.to_pylist()
        if "<EMAIL>" in r["text"]
    )
    before = next(
        r
        for b in web.scan("web", ["sample_id", "content_id"])
        for r in b.to_pylist()
        if r["sample_id"] == row["sample_id"]
    )
    assert "jane.doe" not in row["text"] and before["content_id"] != row["content_id"]
    again = score(web, "web-l1", ["gopher_quality"])
    assert again.counts["computed"] == 1, "carried values were computed again"


def test_a_repeat_is_a_no_op_and_growth_is_a_difference(web):
    first = promote(web, "web", "L1")
    assert promote(web, "web", "L1").unchanged and web.resolve("web-l1").ref == "web-l1@v1"
    append_texts(web, "web", sentences(15, seed=5, low=60, high=110))
    promote(web, "web", "L1")
    assert web.resolve("web-l1").version.rows == first.waterfall.kept[0] + 15
    assert web.resolve("web-l1@v1").version.rows == first.waterfall.kept[0]
    assert errors_of(web) == []


def test_a_dry_run_writes_nothing_and_names_what_it_lacks(web):
    with pytest.raises(Refused, match="langid \\(132 rows\\)"):
        promote(web, "web", "L1", dry_run=True)
    assert web.columns("web") == []
    score(web, "web", [item.scorer for item in load_recipe("web").scores])
    columns = [c.physical for c in web.columns("web")]
    report = promote(web, "web", "L1", dry_run=True)
    assert report.waterfall.sequence["exact_duplicate"][0] == 10 and report.missing == []
    assert [c.physical for c in web.columns("web")] == columns and web.find("web-l1") is None
    assert report.waterfall.by_source["web"]["kept"] == report.waterfall.kept[0]


def test_alone_counts_what_each_rule_would_remove_by_itself(web):
    report = promote(
        web, "web", "L1", recipe=_recipe(drop=[("a", "chars < 20"), ("b", "chars < 20 OR NOT exact_dup_keep")])
    )
    assert report.waterfall.alone["a"][0] == 1 and report.waterfall.sequence["b"][0] == 10
    assert report.waterfall.alone["b"][0] == 11


def _recipe(**changes):
    body = load_recipe("web").model_dump(mode="json", by_alias=True)
    if "drop" in changes:
        rules = {rule["name"]: rule for rule in body["drop"]}
        needed = [rules[name] for name in ("no_stop_words", "secrets", "exact_duplicate", "near_duplicate")]
        body["drop"] = [{"name": name, "where": where} for name, where in changes.pop("drop")] + needed
    return {**body, **changes}


L1_EVIDENCE = {
    "language": "langid",
    "quality rules": "gopher_quality gopher_repetition fineweb_lines",
    "exact deduplication": "exact_dup",
    "near deduplication": "minhash",
    "PII": "pii",
    "secrets": "secrets",
}


@pytest.mark.parametrize("clause", L1_EVIDENCE)
def test_l1_is_refused_by_name_when_its_evidence_is_missing(web, clause):
    """Each clause in turn: the recipe neither computes nor reads what the clause asks for."""
    gone = L1_EVIDENCE[clause].split()
    outputs = {out.name for name in gone for out in get_scorer(name).writes}
    body = _recipe(edits=[])
    body["scores"] = [item for item in body["scores"] if item["scorer"] not in gone]
    body["drop"] = [
        {"name": rule["name"], "where": rule["where"]}
        for rule in body["drop"]
        if not any(name in rule["where"] for name in outputs)
    ] or [{"name": "none", "where": "chars < 0"}]
    if clause != "PII":
        body["drop"].append({"name": "personal_data", "where": "pii_count > 0"})
    with pytest.raises(Refused, match=clause) as caught:
        promote(web, "web", "L1", recipe=body)
    assert any(item.startswith(clause) for item in caught.value.facts["missing"])
    assert len(caught.value.facts["missing"]) == 1, caught.value.facts["missing"]
    assert web.find("web-l1") is None


def test_evidence_that_no_rule_reads_is_not_evidence(web):
    body = _recipe()
    body["drop"] = [rule for rule in body["drop"] if rule["name"] != "secrets"]
    with pytest.raises(Refused, match="secrets: no rule reads"):
        promote(web, "web", "L1", recipe=body)


def test_l2_needs_recorded_agreement_and_every_registered_eval(web, tmp_path):
    promote(web, "web", "L1")
    labelled = [{"text": t, "label": 1} for t in sentences(40, seed=11)]
    labelled += [
        {"text": " ".join(reversed(t.upper().split())) + " !!! $$$", "label": 0} for t in sentences(40, seed=12)
    ]
    text_dataset(web, tmp_path, "labels", labelled)
    text_dataset(web, tmp_path, "eval-a", sentences(5, seed=21), role="eval")
    report = promote(web, "web-l1", "L2", recipe="select-web", variables={"labels": "labels", "threshold": 0.0})
    assert report.waterfall.kept[0] == web.resolve("web-l1-l2").version.rows > 0
    text_dataset(web, tmp_path, "eval-b", sentences(5, seed=22), role="eval")
    body = load_recipe("select-web", {"labels": "labels"}).model_dump(mode="json", by_alias=True)
    body["scores"] = [item for item in body["scores"] if item["scorer"] != "eval_overlap"]
    with pytest.raises(Refused, match="decontamination: not checked against eval-b@v1"):
        promote(web, "web-l1", "L2", recipe=body, name="again")
    with pytest.raises(Refused, match="protected"):
        promote(web, "eval-a", "L1")


def test_strong_labels_on_a_seed_become_a_classifier_and_a_threshold(web, tmp_path):
    promote(web, "web", "L1")
    words = sentences(40, seed=12)
    seed = [{"text": text, "grade": "high"} for text in sentences(40, seed=11)]
    seed += [{"text": " ".join(reversed(text.upper().split())), "grade": "low"} for text in words]
    text_dataset(web, tmp_path, "seed", seed)
    text_dataset(web, tmp_path, "eval-a", sentences(5, seed=21), role="eval")
    given = {"labels": "seed", "label": "grade", "positive": "high", "epochs": 20, "threshold": 0.0}
    report = promote(web, "web-l1", "L2", recipe="select-fasttext", variables=given)
    assert report.waterfall.kept[0] == web.resolve("web-l1-l2").version.rows > 0
    column = next(column for column in web.columns("web-l1") if column.scorer == "fasttext_quality")
    assert column.report["auc"] > 0.9
    assert (column.report["positive"], column.report["negative"]) == (40, 40)
    strict = promote(web, "web-l1", "L2", recipe="select-fasttext", variables=given | {"threshold": 1.0}, dry_run=True)
    assert strict.waterfall.sequence["low_quality"][0] == web.resolve("web-l1").version.rows


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        ({"model_quality": True}, "model-based quality"),
        ({"edits": ("mask_pii",)}, "unchanged text"),
        ({"selects": False}, "selection recipe"),
        ({"evals": ()}, "decontamination: no dataset has role eval"),
        ({"tier": "L0"}, "source tier"),
    ],
)
def test_each_l2_clause_is_refused_by_name(web, change, clause):
    held = _l2_evidence(web, tier=change.get("tier", "L1"), judged="model_quality" not in change)
    assert missing("L2", held) == [] if not change else True
    facts = {k: v for k, v in change.items() if k in ("edits", "selects", "evals")}
    items = missing("L2", Evidence(**{**held.__dict__, **facts}))
    assert len(items) == 1 and items[0].startswith(clause)


def _l2_evidence(cat, tier, judged):
    source = cat.resolve("web")
    source.dataset.tier = tier
    whole = {"dataset_id": "d", "state": "s", "type": "float", "covered": source.dataset.rows}
    quality = ColumnRecord(
        alias="q",
        physical="q__1",
        fingerprint="f",
        scorer="quality_linear",
        output="q",
        report={"auc": 0.8} if judged else {},
        **whole,
    )
    overlap = ColumnRecord(
        alias="eval_overlap", physical="o__1", fingerprint="g", scorer="eval_overlap", output="eval_overlap", **whole
    )
    from catalog.meta.models import Recipe

    recipes = {"g": Recipe(fingerprint="g", scorer="eval_overlap", body={"evals": [{"ref": "e@v1"}]})}
    return Evidence(
        source, {"q": quality, "eval_overlap": overlap}, recipes, frozenset({"q", "eval_overlap"}), (), True, ("e@v1",)
    )


@pytest.mark.parametrize("tier", ["L3", "L4"])
def test_the_upper_tiers_refuse_and_say_why(web, tier):
    with pytest.raises(Refused, match="no operator here writes text"):
        promote(web, "web", tier, recipe={"name": "x", "to": tier})
    assert len(CONTRACTS[tier]) >= 6


def test_mistakes_in_recipes_are_one_line(web):
    for recipe, error, words in [
        ("no-such", NotFound, "shipped"),
        ({"name": "x", "to": "L1", "drop": [{"name": "Bad Name", "where": "true"}]}, BadInput, "drop.0.name"),
        ({"name": "x", "to": "L1", "drop": [{"name": "a", "where": "nosuch > 1"}]}, NotFound, "nosuch"),
        ({"name": "x", "to": "L1", "edits": ["nosuch"]}, NotFound, "edit"),
        ({"name": "x", "to": "L2"}, BadInput, "promotes to L2"),
        ({"name": "x", "to": "L1", "kinds": ["chat"]}, BadInput, "is for chat"),
        ({"name": "x", "to": "L1", "scores": ["nosuch"]}, NotFound, "scorer"),
        ("select-web", BadInput, "promotes to L2|needs a value"),
    ]:
        with pytest.raises(error, match=words) as caught:
            promote(web, "web", "L1", recipe=recipe)
        assert "\n" not in str(caught.value)
    append_texts(web, "taken", sentences(2))
    with pytest.raises(NameTaken, match="taken"):
        promote(web, "web", "L1", name="taken")


def test_every_shipped_recipe_loads():
    for name in shipped():
        variables = {"labels": "x"} if name.startswith("select-") else None
        assert load_recipe(name, variables).scores


def test_a_repeat_carries_what_the_source_has_learnt_since(web):
    promote(web, "web", "L1")
    append_texts(web, "web", sentences(15, seed=5, low=60, high=110))
    score(web, "web", ["text_length"])
    promote(web, "web", "L1")
    rows = web.resolve("web-l1").version.rows
    covered = {c.alias: c.covered for c in web.columns("web-l1")}
    assert covered["exact_dup_keep"] == rows - 1, "rows of the first promotion lack the new population's column"
    assert covered["bytes_utf8"] == rows - 1
    score(web, "web", ["token_count"])
    again = promote(web, "web", "L1")
    assert again.unchanged and web.resolve("web-l1").ref == "web-l1@v2"
    assert {c.alias: c.covered for c in web.columns("web-l1")}["tokens"] == rows - 1
    assert errors_of(web) == []


@pytest.mark.parametrize(("how", "kept"), [("drop", 10), ("keep", 15)])
def test_a_selection_keeps_the_rows_it_holds_whatever_the_recipe_says_of_absent_values(cat, how, kept):
    append_texts(cat, "web", sentences(20))
    values = [None if k == 19 else k / 20 for k in range(20)]  # one row was looked at and has no value
    attach_columns(cat, "web", {"quality": values}, states=[2 if v is None else 1 for v in values])
    append_texts(cat, "web", sentences(5, seed=3))
    cat.select("good", "web", "quality >= 0.45", missing=how)
    plain = {"name": "plain", "to": "L1", "missing": "error"}
    report = promote(cat, "web", "L1", recipe=plain, selection="good", dry_run=True)
    held = count_selection(cat, "good")
    assert report.waterfall.kept[0] == held == kept + (how == "keep")
    narrower = promote(cat, "web", "L1", recipe=plain, selection="good", where="length(text) < 0", dry_run=True)
    assert narrower.waterfall.kept[0] == 0


def test_a_selection_that_stays_on_a_version_or_covers_too_little(cat):
    append_texts(cat, "web", sentences(20))
    attach_columns(cat, "web", {"quality": [k / 20 for k in range(20)]})
    cat.select("strict", "web", "quality >= 0.5")
    cat.select("first", "web@v1", "length(text) > 0")
    append_texts(cat, "web", sentences(5, seed=3))
    plain = {"name": "plain", "to": "L1", "missing": "drop"}
    assert promote(cat, "web", "L1", recipe=plain, selection="first", dry_run=True).waterfall.kept[0] == 20
    with pytest.raises(BadInput, match="quality \\(20 of 25 rows\\)"):
        promote(cat, "web", "L1", recipe=plain, selection="strict", dry_run=True)
    with pytest.raises(NotFound, match="no selection 'strikt': did you mean strict"):
        promote(cat, "web", "L1", recipe=plain, selection="strikt", dry_run=True)


def test_a_condition_over_no_column_is_refused_before_anything_is_computed(web):
    with pytest.raises(NotFound, match="no column of web 'wrod_count': did you mean word_count"):
        promote(web, "web", "L1", where="wrod_count > 1")
    assert web.columns("web") == [] and web.runs(dataset="web") == []
