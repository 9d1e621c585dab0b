"""Endpoints: what is answered is stored and never paid twice, whatever fails; a budget is never passed."""

import multiprocessing
import os
import random
import signal
from collections import Counter
from functools import partial

import pytest

from catalog import Catalog
from catalog.errors import BadInput, Missing, NotFound, Refused
from catalog.meta.models import Dataset
from catalog.testing import append_texts
from flows.endpoints import account
from flows.endpoints.ask import ask, may_send
from flows.endpoints.registry import endpoints, remove_endpoint, save_endpoint
from flows.endpoints.testing import metered
from flows.endpoints.wire import Question


def told(body):
    """The number in the question, as the scripted model sees it."""
    return str(int(body["messages"][-1]["content"].split()[-1]) * 2)


def questions(count, **options):
    return [Question((("user", f"twice {number}"),), max_tokens=8, **options) for number in range(count)]


def add(cat, meter, **options):
    return save_endpoint(cat, "e", url=meter.url, model="m-1", revision="r1", **options)


def test_answers_are_stored_and_never_asked_for_again(cat):
    with metered(told, delay=0.01) as meter:
        add(cat, meter, parallel=4, input_price=1.0, output_price=10.0)
        done = []
        first = ask(cat, "e", [*questions(20), *questions(5)], purpose="t", tick=done.append)
        assert [reply.answer.text for reply in first] == [str(2 * n) for n in [*range(20), *range(5)]]
        assert sum(done) == 25 and len(meter.seen) == 20 and 1 < meter.most <= 4
        again = ask(cat, "e", questions(22), purpose="t")
        assert [reply.cached for reply in again] == [True] * 20 + [False] * 2 and len(meter.seen) == 22
        held = account.spending(cat, "t")
        assert (held["asked"], held["answered"], held["failed"], held["lost"]) == (22, 22, 0, 0)
        assert held["tokens_in"] + held["tokens_out"] == meter.tokens
        assert held["money"] == pytest.approx((held["tokens_in"] + 10 * held["tokens_out"]) / 1e6)


def test_faults_are_retried_and_counted(cat):
    script = {0: 429, 1: 500, 2: 503, 5: "garbage", 6: "drop", 8: 529}
    with metered(told, faults=script.get) as meter:
        add(cat, meter, parallel=1, timeout=20, output_price=1.0)
        account.set_budget(cat, "b", money=1.0)
        replies = ask(cat, "e", questions(6), purpose="t", budget="b")
        assert [reply.answer.text for reply in replies] == [str(2 * n) for n in range(6)]
        assert len(meter.seen) == 6 + len(script)
        held, spent = account.spending(cat, "t"), account.budget(cat, "b")
        assert held["lost"] == 2 and spent.held_money == spent.held_tokens == spent.held_requests == 0
        assert spent.spent_requests == 8 == sum(meter.billed.values())
        assert spent.spent_tokens >= meter.tokens, "what may have been billed counts at its most"
        assert spent.spent_money == pytest.approx(held["money"])


def test_an_answer_that_hangs_is_given_up_and_asked_again(cat):
    with metered(told, faults={0: "hang"}.get, idempotent=True) as meter:
        add(cat, meter, parallel=1, timeout=2.0, idempotent=True)
        assert ask(cat, "e", questions(1), purpose="t")[0].answer.text == "0"
        assert meter.billed.total() == 1 and len(meter.seen) >= 2


def test_a_question_that_fails_for_good_has_an_error_and_the_rest_go_on(cat):
    faults = {1: 400, 3: 413}
    with metered(told, faults=faults.get) as meter:
        add(cat, meter, parallel=1)
        replies = ask(cat, "e", questions(5), purpose="t")
        assert [reply.answer is None for reply in replies] == [False, True, False, True, False]
        assert "refused the request (400): scripted 400" in replies[1].error
        assert ask(cat, "e", questions(5), purpose="t")[1].answer.text == "2", "an error is not an answer: asked again"
    with metered(told, faults=lambda number: 500) as meter:
        add(cat, meter, attempts=2)
        (reply,) = ask(cat, "e", questions(1), purpose="t")
        assert reply.error.endswith("given up after 2 attempts") and "\n" not in reply.error


@pytest.mark.parametrize(
    ("fault", "message"), [(401, r"refused the key \(401\).*--key"), (404, "check --url and --model"), (403, "refused")]
)
def test_what_concerns_all_stops_at_once(cat, fault, message):
    with metered(told, faults=lambda number: fault) as meter:
        add(cat, meter, parallel=2)
        with pytest.raises(Missing, match=message):
            ask(cat, "e", questions(500), purpose="t")
        assert len(meter.seen) < 20
        assert account.spending(cat, "t")["answered"] == 0


def test_nobody_there_is_one_line(cat, monkeypatch):
    save_endpoint(cat, "e", url="http://127.0.0.1:9", model="m", attempts=1)
    (reply,) = ask(cat, "e", questions(1), purpose="t")
    assert reply.error.startswith("cannot reach http://127.0.0.1:9")
    save_endpoint(cat, "k", url="http://127.0.0.1:9", model="m", key="NO_SUCH_KEY")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(Missing, match="expected in NO_SUCH_KEY"):
        ask(cat, "k", questions(1), purpose="t")


@pytest.mark.parametrize("limit", [{"requests": 7}, {"money": 0.002}, {"tokens": 600}])
def test_a_budget_is_never_passed_and_the_same_call_goes_on(cat, limit):
    with metered(told, delay=0.005) as meter:
        add(cat, meter, parallel=8, input_price=2.0, output_price=20.0)
        account.set_budget(cat, "b", **limit)
        with pytest.raises(account.OverBudget, match="budget b is used up: .* is left"):
            ask(cat, "e", questions(60), purpose="t", budget="b")
        held, first = account.budget(cat, "b"), len(meter.seen)
        assert 0 < first < 60
        assert held.spent_requests == first and held.held_requests == 0 and held.spent_tokens == meter.tokens
        assert held.spent_money <= limit.get("money", 9) and held.spent_tokens <= limit.get("tokens", 10**9)
        assert held.spent_requests <= limit.get("requests", 10**9)
        account.set_budget(cat, "b", money=10.0)
        replies = ask(cat, "e", questions(60), purpose="t", budget="b")
        assert sum(reply.cached for reply in replies) == first and len(meter.seen) == 60


def test_the_pace_is_kept(cat, monkeypatch):
    from flows.endpoints import ask as asking

    clock = [0.0]
    monkeypatch.setattr(asking.time, "monotonic", lambda: clock[0])

    class Stop:
        def is_set(self):
            return False

        def wait(self, seconds):
            clock[0] += seconds

    pace, sent = asking.Pace(requests=3, tokens=100), []
    for tokens in (10, 10, 10, 10, 90, 90):
        pace.wait(tokens, Stop())
        sent.append((clock[0], tokens))
    for moment, _ in sent:
        within = [tokens for at, tokens in sent if moment <= at < moment + 60]
        assert len(within) <= 3 and sum(within) <= 100


def test_an_unpinned_model_is_not_merged_with_another_day(cat):
    with metered(told) as meter:
        save_endpoint(cat, "e", url=meter.url, model="m-1")
        for day, cached in (("2026-01-01", False), ("2026-01-01", True), ("2026-01-02", False)):
            assert ask(cat, "e", questions(1), purpose="t", as_of=day)[0].cached is cached
        with cat.session() as session:
            held = session.exec(account.select(account.Call)).all()
        assert sorted(call.revision for call in held) == ["unpinned:2026-01-01", "unpinned:2026-01-02"]
        assert held[0].served_by == "m-1 fp-1"


def test_a_cassette_plays_without_the_endpoint(cat, tmp_path):
    with metered(told) as meter:
        add(cat, meter)
        ask(cat, "e", questions(4, sample_id="s"), purpose="t")
        lines = list(account.export_calls(cat, "t"))
    other = Catalog.open(tmp_path / "other")
    save_endpoint(other, "e", url=meter.url, model="m-1", revision="r1", attempts=1)
    assert account.import_calls(other, lines) == 4 and account.import_calls(other, lines) == 0
    replies = ask(other, "e", questions(4), purpose="t")
    assert all(reply.cached for reply in replies) and [reply.answer.text for reply in replies] == ["0", "2", "4", "6"]
    assert account.spending(other)["money"] == 0
    with pytest.raises(BadInput, match="line 1 is no recorded answer"):
        account.import_calls(other, [b"{}"])


def test_anthropic_and_schemas_on_the_wire(cat, monkeypatch):
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
    asked = Question((("user", "rate"),), system="be fair", schema=schema)
    monkeypatch.setenv("SOME_KEY", "secret-1")
    with metered(lambda body: '{"score":3}') as meter:
        for api in ("openai", "anthropic"):
            save_endpoint(cat, api, url=meter.url, model="m", api=api, key="SOME_KEY", revision="r")
            (reply,) = ask(cat, api, [asked], purpose="t")
            assert reply.answer.text == '{"score":3}' and reply.answer.finish == "stop"
        first, second = meter.seen
        assert first["_headers"]["authorization"] == "Bearer secret-1"
        assert first["messages"][0] == {"role": "system", "content": "be fair"}
        assert first["response_format"]["json_schema"]["schema"] == schema
        assert second["_headers"]["x-api-key"] == "secret-1" and second["system"] == "be fair"
        assert second["_path"] == "/v1/messages" and second["tools"][0]["input_schema"] == schema
    assert b"secret-1" not in b"".join(account.export_calls(cat)) and "secret" not in str(endpoints(cat))


def test_text_goes_to_others_only_with_consent(cat):
    append_texts(cat, "raw", ["one"])
    append_texts(cat, "web", ["one"])
    with cat.session() as session:
        held = session.get_one(Dataset, cat.resolve("web").dataset.id)
        held.tier = "L1"
        session.add(held)
        session.commit()
    save_endpoint(cat, "far", url="https://api.example.com/v1", model="m")
    save_endpoint(cat, "mine", url="https://models.example.com/v1", model="m", private=True)
    save_endpoint(cat, "near", url="http://localhost:8000/v1", model="m")
    with pytest.raises(Refused, match="text of web may not go to .* without its owner's consent"):
        may_send(cat, "far", ["web"])
    cat.consent("web")
    may_send(cat, "far", ["web"])
    cat.consent("web", False)
    cat.consent("raw")
    for name, refused in (("web", "consent"), ("raw", r"is raw \(L0\)")):
        with pytest.raises(Refused, match=refused):
            may_send(cat, "far", [name])
        may_send(cat, "mine", [name])
        may_send(cat, "near", [name])


def test_what_is_given_wrong_is_one_line(cat):
    with pytest.raises(NotFound, match="no endpoint 'x'"):
        ask(cat, "x", questions(1), purpose="t")
    with pytest.raises(BadInput, match="is no address"):
        save_endpoint(cat, "x", url="api.example.com", model="m")
    with pytest.raises(BadInput, match="endpoint name"):
        save_endpoint(cat, "X Y", url="http://h/v1", model="m")
    with pytest.raises(BadInput, match="its parameters are: url, model"):
        save_endpoint(cat, "x", url="http://h/v1", model="m", prize=3)
    save_endpoint(cat, "x", url="https://h.example/v1", model="m")
    account.set_budget(cat, "b", money=1)
    with pytest.raises(BadInput, match="has no prices"):
        ask(cat, "x", questions(1), purpose="t", budget="b")
    with pytest.raises(NotFound, match="no budget 'c'"):
        ask(cat, "x", questions(1), purpose="t", budget="c")
    with pytest.raises(BadInput, match="needs a limit"):
        account.set_budget(cat, "c")
    remove_endpoint(cat, "x")
    assert endpoints(cat) == {}


def _work(home, count):
    ask(Catalog.open(home), "e", questions(count), purpose="t", budget="b")


def _faults(rng, number):
    return rng.choice([None] * 8 + [429, 500, "drop", "garbage"])


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
def test_kill_9_with_faults_pays_for_no_stored_answer_twice(tmp_path, seed, idempotent):
    """Killed again and again under 429s, 500s, cut connections: all answers come, the books hold, the budget too."""
    count, rng, home = 60, random.Random(seed), str(tmp_path / "home")
    cat = Catalog.open(home)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["catalog", "flows.endpoints.ask"])
    with metered(told, faults=partial(_faults, random.Random(seed)), idempotent=idempotent, delay=0.02) as meter:
        save_endpoint(cat, "e", url=meter.url, model="m", revision="r", parallel=4, output_price=1.0, attempts=40,
                      idempotent=idempotent)  # fmt: skip
        account.set_budget(cat, "b", requests=4 * count)
        kills = 0
        for _ in range(40):
            child = context.Process(target=_work, args=(home, count))
            child.start()
            child.join(rng.uniform(0.8, 2.5) if kills < 4 else 120)
            if child.exitcode is None:
                os.kill(child.pid, signal.SIGKILL)
                child.join()
                kills += 1
                continue
            assert child.exitcode == 0
            break
        replies = ask(cat, "e", questions(count), purpose="t", budget="b")
        assert all(reply.cached for reply in replies) and [r.answer.text for r in replies] == [
            str(2 * n) for n in range(count)
        ]
        held, books = account.budget(cat, "b"), account.spending(cat, "t")
        assert held.held_requests == held.held_tokens == 0 and held.spent_requests <= held.requests
        assert held.spent_tokens >= meter.tokens, "nothing that was billed is missing in the books"
        assert (
            set(meter.billed) == {key for key in meter.billed if meter.billed[key] >= 1} and len(meter.billed) == count
        )
        if idempotent:
            assert meter.billed == Counter(dict.fromkeys(meter.billed, 1)), "each answer was paid once"
        else:
            assert meter.billed.total() - count <= books["lost"], "paid again only where no answer arrived"
