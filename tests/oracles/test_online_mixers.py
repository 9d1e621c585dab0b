"""DoReMi and Skill-It against the authors' update rules, written out for a few steps, and a published skill graph."""

import numpy as np
import pytest

from catalog.errors import BadInput
from catalog.mixers import Task, get_mixer
from flows.mixers.doremi import DoReMi
from flows.mixers.skill_it import SkillIt, graph_from_losses

ORACLES = {
    "doremi": "the authors' update on a scripted sequence of losses, step by step",
    "skill_it": "the authors' multiplicative weights on a scripted sequence, by hand",
}


def test_doremi_follows_the_scripted_sequence():
    # log-weights + excess, softmax, 0.999 of it and 0.001 even; the second step lacks the first domain.
    start, excess = np.array([0.5, 0.25, 0.25]), np.array([[0.2, -0.4, 1.0], [np.nan, 0.3, 0.1]])
    weights, seen, held = start, np.zeros(3), []
    for step in excess:
        seen = [old if np.isnan(new) else max(new, 0) for old, new in zip(seen, step, strict=True)]
        raised = [w * np.exp(e) for w, e in zip(weights, seen, strict=True)]
        weights = [0.999 * r / sum(raised) + 0.001 / 3 for r in raised]
        held.append(weights)
    state = DoReMi(start)
    for step in excess:
        state.step(step)
    assert state.weights == pytest.approx(held[-1], rel=1e-12)
    assert state.average == pytest.approx(np.mean(held, axis=0), rel=1e-12)


def test_doremi_never_loses_a_domain():
    state = DoReMi(np.array([0.5, 0.5]))
    for _ in range(1000):
        state.step(np.array([5.0, 0.0]))
    assert state.weights[1] >= 0.001 / 2 * 0.999 and state.weights.sum() == pytest.approx(1)


def test_skill_it_restarts_from_even_weights_with_the_summed_losses_of_the_window():
    graph = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    losses = [np.array([3.0, 2.0, 1.0]), np.array([2.0, 2.0, 0.5]), np.array([1.0, 1.5, 0.4])]
    state = SkillIt(graph, rate=0.3, window=2)
    for seen in losses:
        state.step(seen)
    pull = [sum(graph[i][j] * (losses[1][j] + losses[2][j]) for j in range(3)) for i in range(3)]
    expected = np.exp(0.3 * np.array(pull))
    assert state.weights == pytest.approx(expected / expected.sum(), rel=1e-12)


def test_skill_it_starts_from_the_graph_alone():
    graph = np.array([[1.0, 1.0], [0.0, 1.0]])
    expected = np.exp(0.2 * np.array([1.0, 0.5]))
    assert SkillIt(graph, rate=0.2).weights == pytest.approx(expected / expected.sum())


def test_a_graph_from_short_runs():
    found = graph_from_losses(np.array([2.0, 4.0]), np.array([[1.0, 3.0], [2.2, 2.0]]))
    assert found.tolist() == [[0.5, 0.25], [0.0, 0.5]]


def ask(mixer, **params):
    plugin = get_mixer(mixer)
    return plugin.answer(Task(("a", "b"), np.array([1.0, 3.0]), plugin.parse_params(params)))


def test_mixers_read_a_recorded_run(tmp_path):
    trace, graph = tmp_path / "run.csv", tmp_path / "graph.npy"
    trace.write_text("step,b,a\n1,0.0,0.5\n2,,0.5\n")
    np.save(graph, np.array([[1.0, 0.5], [0.0, 1.0]]))
    state = DoReMi(np.array([0.25, 0.75]))
    for excess in ([0.5, 0.0], [0.5, np.nan]):
        state.step(np.array(excess))
    assert ask("doremi", trace=str(trace)).weights == pytest.approx(state.average)
    with pytest.raises(BadInput, match="lacks the loss of a skill"):
        ask("skill_it", graph=str(graph), trace=str(trace))
    trace.write_text("a,b\n2,1\n")
    expected = np.exp(0.2 * np.array([2.5, 1.0]))
    assert ask("skill_it", graph=str(graph), trace=str(trace)).weights == pytest.approx(expected / expected.sum())


def test_what_is_missing_is_said(tmp_path):
    for mixer, words in (("doremi", "needs|follows a run"), ("skill_it", "needs the skill graph")):
        with pytest.raises(BadInput, match=words):
            ask(mixer)
    np.save(tmp_path / "graph.npy", np.ones((3, 3)))
    with pytest.raises(BadInput, match=r"shape \(3, 3\)"):
        ask("skill_it", graph=str(tmp_path / "graph.npy"))
