"""Provider batches: answered once and paid once, whatever is killed, cut short, cancelled or refused."""

import multiprocessing
import os
import random
import signal
import threading
import time
from functools import partial

import pytest

from catalog import Catalog
from catalog.errors import BadInput, Missing, NotFound, Refused
from catalog.testing import append_texts
from flows import score
from flows.endpoints import account, batches
from flows.endpoints.ask import ask
from flows.endpoints.batching import cancel, collect
from flows.endpoints.registry import save_endpoint
from flows.endpoints.testing import metered
from flows.endpoints.testing_batches import Batches
from flows.endpoints.wire import Question

APIS = ("openai", "anthropic")
QUICK = (("openai", "written"), ("anthropic", "sent"), ("openai", "told"))


def told(body):
    """The number in the question, as the scripted model sees it."""
    held = body["messages"][-1]["content"]
    text = held if isinstance(held, str) else held[-1]["text"]
    return str(int(text.split()[-1]) * 2)


def questions(count, **options):
    return [Question((("user", f"twice {number}"),), max_tokens=8, **options) for number in range(count)]


def add(cat, meter, api="openai", **options):
    given = {"batch": True, "batch_price": 0.5, "batch_poll": 0.2, "input_price": 1.0, "output_price": 10.0}
    return save_endpoint(cat, "e", url=meter.url, model="m-1", revision="r1", api=api, **given | options)


def texts(replies):
    return [reply.answer and reply.answer.text for reply in replies]


def right(count):
    return [str(2 * number) for number in range(count)]


@pytest.mark.parametrize("api", APIS)
def test_a_batch_is_one_submission_and_is_paid_at_its_price(cat, api):
    held = Batches()
    with metered(told, batches=held) as meter:
        add(cat, meter, api, batch_size=12)
        account.set_budget(cat, "b", money=1.0)
        done = []
        replies = ask(cat, "e", [*questions(20), *questions(3)], purpose="t", budget="b", tick=done.append)
        assert texts(replies) == [*right(20), *right(3)] and sum(done) == 23
        assert not meter.seen and [len(batch["questions"]) for batch in held.made.values()] == [12, 8]
        assert texts(ask(cat, "e", questions(20), purpose="t")) == right(20) and len(held.made) == 2
        assert texts(ask(cat, "e", questions(20), purpose="t", batch=False)) == right(20) and not meter.seen
        spent, books = account.budget(cat, "b"), account.spending(cat, "t")
        assert books["money"] == pytest.approx((books["tokens_in"] + 10 * books["tokens_out"]) / 1e6 / 2)
        assert spent.spent_money == pytest.approx(books["money"]) and spent.spent_tokens == meter.tokens
        assert spent.held_money == pytest.approx(0, abs=1e-12)
        assert (spent.held_tokens, spent.held_requests, spent.spent_requests) == (0, 0, 20)
        first = batches.batches(cat)[0]
        assert (first.status, first.done, first.failed) == ("ended", first.questions, 0) and first.remote in held.made


@pytest.mark.parametrize(("api", "short"), [("openai", False), ("openai", True), ("anthropic", False)])
def test_what_a_batch_did_not_get_to_is_asked_again_unpaid(cat, api, short):
    """The first batch expires half-way, one question in it fails for the moment and one for good."""
    fates = {(0, 1): "expired", (0, 3): "expired", (0, 4): 500, (0, 5): 400, (1, 0): "expired"}
    held = Batches(fate=lambda batch, at: fates.get((batch, at)), short=short)
    with metered(told, batches=held) as meter:
        add(cat, meter, api)
        account.set_budget(cat, "b", money=1.0)
        replies = ask(cat, "e", questions(8), purpose="t", budget="b")
        assert texts(replies) == [None if n == 5 else text for n, text in enumerate(right(8))]
        assert "scripted 400" in replies[5].error and [len(b["questions"]) for b in held.made.values()] == [8, 3, 1]
        spent = account.budget(cat, "b")
        assert spent.spent_tokens == meter.tokens and spent.held_requests == 0 and meter.billed.total() == 7


@pytest.mark.parametrize("api", APIS)
def test_an_answer_that_cannot_be_read_or_is_missing_may_have_been_billed(cat, api):
    fates = {(0, 0): "garbage", (0, 1): "missing"}
    with metered(told, batches=Batches(fate=lambda batch, at: fates.get((batch, at)))) as meter:
        add(cat, meter, api)
        account.set_budget(cat, "b", money=1.0)
        assert texts(ask(cat, "e", questions(3), purpose="t", budget="b")) == right(3)
        assert account.spending(cat, "t")["lost"] == 2
        assert account.budget(cat, "b").spent_tokens >= meter.tokens


def test_a_question_that_never_comes_is_given_up_after_the_attempts(cat):
    with metered(told, batches=Batches(fate=lambda batch, at: "expired" if at == 0 else None, seconds=0)) as meter:
        add(cat, meter, attempts=2)
        replies = ask(cat, "e", questions(2), purpose="t")
        assert replies[0].error.endswith("given up after 2 attempts") and replies[1].answer.text == "2"


def test_a_budget_takes_what_fits_and_goes_on_with_what_is_left(cat):
    """Reservations are for the worst case: what fits is handed in, and what it did not cost pays for more."""
    held = Batches(seconds=0.05)
    with metered(told, batches=held) as meter:
        add(cat, meter, batch_poll=0.05)
        one = questions(1)[0].most_tokens()
        account.set_budget(cat, "b", tokens=sum(one) + 40)
        with pytest.raises(account.OverBudget, match="raise it and run the same command again"):
            ask(cat, "e", questions(12), purpose="t", budget="b")
        spent = account.budget(cat, "b")
        assert spent.spent_tokens <= spent.tokens and spent.held_tokens == 0 and len(held.made) > 1
        assert spent.spent_tokens == meter.tokens and meter.billed.total() < 12
        account.set_budget(cat, "b", tokens=100_000)
        assert texts(ask(cat, "e", questions(12), purpose="t", budget="b")) == right(12) and meter.billed.total() == 12


@pytest.mark.parametrize(
    ("api", "fault"), [("openai", "drop"), ("anthropic", "drop"), ("openai", 429), ("anthropic", 503)]
)
def test_a_submission_that_failed_is_looked_for_before_another(cat, api, fault):
    """A cut connection after the batch was made: it is found again, by its name or by what it holds."""
    at = 1 if api == "openai" else 0
    held = Batches(faults={at: fault, at + 2: 500}.get, seconds=0.05)
    with metered(told, batches=held) as meter:
        add(cat, meter, api)
        assert texts(ask(cat, "e", questions(6), purpose="t")) == right(6)
        assert len(held.made) == 1 and meter.billed.total() == 6 and account.spending(cat)["lost"] == 0


def test_another_batch_of_the_same_size_is_not_taken_for_ours(cat):
    held = Batches(faults={1: "drop"}.get, seconds=0.05)
    with metered(told, batches=held) as meter:
        add(cat, meter, "anthropic")
        strange = [{"custom_id": f"x{n}", "params": {"model": "m", "messages": [{"content": "1"}]}} for n in range(3)]
        import httpx

        httpx.post(f"{meter.url}/messages/batches", json={"requests": strange})
        assert texts(ask(cat, "e", questions(3), purpose="t")) == right(3)
        assert len(held.made) == 2 and batches.batches(cat)[0].remote == "msgbatch_1"


@pytest.mark.parametrize("api", APIS)
def test_a_cancelled_batch_keeps_its_answers_and_the_command_goes_on_later(cat, api):
    held = Batches(seconds=60)
    with metered(told, batches=held) as meter:
        add(cat, meter, api)
        failed = []

        def work():
            try:
                ask(cat, "e", questions(6), purpose="t")
            except Refused as error:
                failed.append(str(error))

        thread = threading.Thread(target=work)
        thread.start()
        while not (running := [one for one in batches.batches(cat, running=True) if one.remote]):
            time.sleep(0.02)
        ended = cancel(cat, running[0].id[:8])
        thread.join(30)
        assert "was cancelled; what is answered is kept" in failed[0]
        ended = batches.batch_of(cat, ended.id)
        assert (ended.status, ended.done, ended.failed) == ("ended", 3, 3)
        with pytest.raises(Refused, match="has ended already: 3 of 6"):
            cancel(cat, ended.remote)
        held.seconds = 0.05
        assert texts(ask(cat, "e", questions(6), purpose="t")) == right(6) and meter.billed.total() == 6


def test_a_batch_that_is_refused_whole_is_one_line_and_costs_nothing(cat):
    with metered(told, batches=Batches(refuse="the queue is full")) as meter:
        add(cat, meter)
        account.set_budget(cat, "b", money=1.0)
        with pytest.raises(Missing, match="refused the batch: invalid_request: the queue is full; a smaller one"):
            ask(cat, "e", questions(3), purpose="t", budget="b")
        spent = account.budget(cat, "b")
        assert spent.spent_money == 0 and spent.held_money == pytest.approx(0, abs=1e-12)
    with metered(told, batches=Batches(faults=lambda number: 401)) as meter:
        add(cat, meter)
        with pytest.raises(Missing, match="refused the key"):
            ask(cat, "e", questions(3), purpose="t")
        assert batches.batches(cat, running=True) == []


def test_what_runs_is_collected_without_asking_and_waited_for_by_a_plain_ask(cat):
    held = Batches(seconds=60)
    with metered(told, batches=held) as meter:
        add(cat, meter)
        _killed(cat, 4, lambda: any(batch.remote for batch in batches.batches(cat)))
        assert [one.status for one in collect(cat)] == ["running"]
        held.seconds = 0
        replies = ask(cat, "e", questions(5), purpose="t", batch=False)
        assert texts(replies) == right(5) and len(meter.seen) == 1 and meter.billed.total() == 5
        assert [one.status for one in collect(cat)] == ["ended"]
        with pytest.raises(NotFound, match="no batch 'zz'.*strata endpoint batches"):
            cancel(cat, "zz")
    with pytest.raises(BadInput, match="has no batches"):
        save_endpoint(cat, "x", model="m", api="transformers", batch=True)


def _work(home, count):
    ask(Catalog.open(home), "e", questions(count), purpose="t", budget=None)


def _killed(cat, count, when):
    """Ask in a process that is killed once `when` holds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["catalog", "flows.endpoints.ask"])
    child = context.Process(target=_work, args=(str(cat.settings.home), count))
    child.start()
    while child.is_alive() and not when():
        time.sleep(0.005)
    if child.is_alive():
        os.kill(child.pid, signal.SIGKILL)
    child.join()


def _reached(stop, cat, held):
    """Whether the child is where it is to be killed."""
    seen = batches.batches(cat)
    return {
        "written": bool(seen), "sent": bool(held.made), "told": any(batch.remote for batch in seen),
        "looked": any(path.startswith("GET") for path in list(held.asked)),
    }[stop]  # fmt: skip


STOPS = [
    pytest.param(api, stop, marks=[] if (api, stop) in QUICK else [pytest.mark.slow])
    for api in APIS
    for stop in ("written", "sent", "told", "looked")
]


@pytest.mark.parametrize(("api", "stop"), STOPS)
def test_kill_9_between_submission_and_download_pays_once(tmp_path, api, stop):
    cat = Catalog.open(tmp_path / "home")
    held = Batches(seconds=0.4)
    with metered(told, batches=held) as meter:
        add(cat, meter, api)
        _killed(cat, 30, partial(_reached, stop, cat, held))
        assert texts(ask(cat, "e", questions(30), purpose="t")) == right(30)
        assert len(held.made) == 1 and meter.billed.total() == 30 and len(meter.billed) == 30
        books = account.spending(cat, "t")
        assert books["lost"] == 0 and books["answered"] == 30
        assert books["tokens_in"] + books["tokens_out"] == meter.tokens


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_kill_9_again_and_again_under_faults(tmp_path, seed):
    rng = random.Random(seed)
    cat = Catalog.open(tmp_path / "home")
    api = APIS[seed % 2]
    faults = random.Random(seed)
    held = Batches(seconds=0.2, faults=lambda number: faults.choice([None] * 9 + [429, 500, "drop"]),
                   fate=lambda batch, at: "expired" if (batch * 7 + at) % 5 == 0 and batch < 4 else None)  # fmt: skip
    with metered(told, batches=held) as meter:
        add(cat, meter, api, attempts=30, batch_size=20)
        for _ in range(5):
            until = time.monotonic() + rng.uniform(0.5, 2.5)
            _killed(cat, 60, lambda until=until: time.monotonic() > until)
        assert texts(ask(cat, "e", questions(60), purpose="t")) == right(60)
        assert meter.billed.total() == 60 == len(meter.billed), "each answer was paid once"
        assert account.spending(cat, "t")["lost"] == 0


def test_a_judge_asks_by_batches_as_wide_as_its_rows(cat):
    append_texts(cat, "web", [f"text {number}" for number in range(150)])
    held = Batches(seconds=0.05)
    with metered(lambda body: '{"reason": "so", "educational_value": 3}', batches=held) as meter:
        add(cat, meter)
        score(cat, "web", ["judge_educational_value"], params={"endpoint": "e"})
        assert [len(batch["questions"]) for batch in held.made.values()] == [150] and not meter.seen
    assert {column.covered for column in cat.columns("web")} == {150}
