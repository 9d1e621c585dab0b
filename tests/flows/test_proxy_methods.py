"""DoReMi, Skill-It and anneals in the laboratory, on parts of which one is plainly harder or plainly useless."""

import numpy as np
import pytest

from catalog import Catalog
from catalog.errors import BadInput, NotFound
from catalog.testing import append_texts, sentences
from catalog.trials import list_trials
from flows.mixers.doremi import DoReMi
from flows.mixing import weigh
from flows.proxy import run_trial
from flows.proxy.anneal import annealing, leave_one_out
from flows.proxy.recipe import make_recipe
from flows.proxy.robust import by_part, run_doremi
from flows.proxy.skills import run_skill_it

TINY = {"size": "16k", "tokens": 8_192, "context": 64, "batch": 8, "validation_tokens": 512, "checkpoint_every": 5}


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    append_texts(cat, "words", sentences(200))
    append_texts(cat, "easy", [f"{n:04d} " + "ab" * 80 for n in range(200)])
    return cat


def spec(name, **more):
    return {"name": name, "total": 200, "parts": [{"dataset": d, "max_epochs": 2} | more for d in ("words", "easy")]}


def test_excess_is_averaged_by_part_and_nan_where_the_batch_lacks_it():
    excess, part = np.array([[1.0, 3.0], [0.0, 4.0]]), np.array([[0, 0], [2, 2]])
    assert by_part(excess, part, 3)[[0, 2]].tolist() == [2.0, 2.0] and np.isnan(by_part(excess, part, 3)[1])


def test_doremi_weighs_what_lags_and_its_trace_repeats_the_update(cat):
    cat.publish_mix(spec("even", weight=1))
    recipe = make_recipe(**TINY)
    found = run_doremi(cat, "even", recipe)
    assert sum(found.weights.values()) == pytest.approx(1) and len(list_trials(cat)) == 1
    assert found.reference == list_trials(cat)[0].model
    again = weigh(cat, spec("even"), "doremi", params={"trace": str(found.trace)})
    assert [row["weight"] for row in again.rows] == pytest.approx(list(found.weights.values()), abs=1e-6)
    rows = np.genfromtxt(found.trace, delimiter=",", skip_header=1)
    assert rows.shape == (recipe.steps, 2) and (rows[np.isfinite(rows)] >= 0).all()
    state = DoReMi(np.array([0.5, 0.5]))
    for row in rows:
        state.step(row)
    assert found.weights["words"] == pytest.approx(state.average[0], abs=1e-6) != pytest.approx(0.5, abs=1e-3)


def test_doremi_goes_on_from_a_checkpoint_with_the_same_weights(cat, monkeypatch):
    import flows.proxy.train as module

    cat.publish_mix(spec("even", weight=1))
    whole = run_doremi(cat, "even", make_recipe(**TINY))
    for path in whole.trace.parent.iterdir():
        path.unlink()
    steps, advance = [], module._Run.advance

    def stopped(self):
        steps.append(self.step)
        if len(steps) == 9:
            raise KeyboardInterrupt
        advance(self)

    monkeypatch.setattr(module._Run, "advance", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_doremi(cat, "even", make_recipe(**TINY))
    monkeypatch.setattr(module._Run, "advance", advance)
    assert run_doremi(cat, "even", make_recipe(**TINY)).weights == whole.weights


def test_the_loss_of_a_step_is_the_authors_formula(cat, tmp_path):
    import torch

    from flows.proxy.losses import token_losses
    from flows.proxy.recipe import build_model
    from flows.proxy.robust import _weigher

    reference = build_model(make_recipe(**TINY, seed=3), 257)
    inputs = torch.randint(0, 257, (4, 64), generator=torch.Generator().manual_seed(0))
    each = token_losses(build_model(make_recipe(**TINY), 257), inputs).detach()
    part = torch.tensor([0, 1, 0, 1])[:, None].expand(4, 63)
    shares, state, extra = np.array([0.75, 0.25]), DoReMi(np.array([0.75, 0.25])), {"trace": [], "inputs": inputs}
    loss = _weigher(reference, state, shares, extra)(each, part, 0)
    excess = (each - token_losses(reference, inputs).detach()).clamp(min=0)
    means = np.array([float(excess[part == n].mean().detach()) for n in (0, 1)])
    w = np.log(shares) + means
    w = (1 - 1e-3) * np.exp(w) / np.exp(w).sum() + 1e-3 / 2
    a, b = w / shares
    hand = (a * each[part == 0].sum() + b * each[part == 1].sum()) / (a * 126 + b * 126)
    assert float(loss) == pytest.approx(float(hand), rel=1e-5)


def test_skill_it_trains_in_rounds_that_follow_the_losses(cat):
    recipe = make_recipe(**TINY | {"tokens": 4_096})
    found = run_skill_it(cat, spec("skills"), recipe, rounds=2)
    assert found.graph.shape == (2, 2) and (found.graph >= 0).all() and found.weights.shape == (3, 2)
    assert found.graph[1, 1] > found.graph[1, 0]  # training on "ab" teaches "ab" more than words
    logs = np.log(0.5) + 0.2 * found.graph @ found.losses[0]
    assert found.weights[1] == pytest.approx(np.exp(logs) / np.exp(logs).sum())
    count = len(list_trials(cat))
    assert np.array_equal(run_skill_it(cat, spec("skills"), recipe, rounds=2).weights, found.weights)
    assert len(list_trials(cat)) == count == 1 + 2 + 2


@pytest.mark.slow
def test_an_anneal_without_the_part_that_teaches_it_is_worse_on_it(cat):
    body = spec("even", weight=1, max_epochs=5) | {"total": 600}
    cat.publish_mix(body)
    longer = make_recipe(**TINY | {"tokens": 32_768})
    starts = [run_trial(cat, "even", longer.model_copy(update={"seed": s, "decay": 0.0})).model for s in range(3)]
    rows = leave_one_out(cat, body, longer, starts, result="loss/words")
    assert [row["against"] for row in rows] == ["without words", "without easy"]
    assert rows[0]["verdict"] == "better" and rows[0]["seeds"] == 3 and rows[1]["verdict"] in ("tie", "worse")


def test_anneals_fall_to_zero_and_pair_independent_starts(cat):
    body = spec("even", weight=1)
    cat.publish_mix(body)
    recipe = make_recipe(**TINY | {"tokens": 2_048})
    starts = [run_trial(cat, "even", recipe.model_copy(update={"seed": s, "decay": 0.0})).model for s in range(2)]
    rows = leave_one_out(cat, body, recipe, starts, parts=["words"])
    assert rows[0]["against"] == "without words" and rows[0]["seeds"] == 2 and len(list_trials(cat)) == 2 + 4
    made = annealing(recipe, starts[0])
    assert made.rate_at(0) == made.peak and made.rate_at(made.steps - 1) == pytest.approx(made.peak / made.steps)
    with pytest.raises(NotFound, match="no part 'nothing'"):
        leave_one_out(cat, body, recipe, starts, parts=["nothing"])
    with pytest.raises(BadInput, match="named twice"):
        leave_one_out(cat, body, recipe, [starts[0]] * 2)


def test_doremi_needs_parts_to_weigh(cat):
    cat.publish_mix({"name": "one", "parts": [{"dataset": "words"}]})
    with pytest.raises(BadInput, match="DoReMi weighs two and more"):
        run_doremi(cat, "one", make_recipe(**TINY))
