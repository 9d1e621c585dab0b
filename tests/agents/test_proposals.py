"""Proposals: what is shown is what is approved, once, with the rights of who approves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading

import pytest
from sqlalchemy import event

from agents.hands import as_agent
from agents.proposals import approve, edit, find, proposals, propose, reject, verbs, waiting
from catalog import Catalog
from catalog.errors import BadInput, Busy, NotFound, Refused
from catalog.meta.proposals import Proposal
from catalog.store.publish import process_start
from catalog.testing import sentences, text_dataset


@pytest.fixture
def web(cat, tmp_path):
    """Two versions: 20 rows, then 40."""
    text_dataset(cat, tmp_path, "web", sentences(20))
    text_dataset(cat, tmp_path, "web", sentences(20, seed=5))
    return cat


def ids(cat, where: str = "true", count: int = 2) -> list[str]:
    return [
        row["sample_id"]
        for row in cat.sql(f"SELECT sample_id FROM web WHERE {where} LIMIT {count}").arrow().to_pylist()
    ]


EXAMPLES = {
    "score": {"name": "web", "scorers": ["text_length"]},
    "select": {"name": "long", "source": "web", "where": "chars > 40"},
    "mix_publish": {"spec": {"name": "blend", "parts": [{"dataset": "web"}]}},
    "retract": {"reason": "asked to", "where": "chars > 10"},
    "tag": {"ref": "web", "label": "first"},
    "rollback": {"name": "web", "to": 1},
    "rename": {"old": "web", "new": "pages"},
}


@pytest.mark.parametrize("verb", EXAMPLES)
def test_an_approved_proposal_does_what_its_effect_said(web, verb):
    made = propose(web, verb, EXAMPLES[verb])
    before = [dataset.head for dataset in web.datasets()], web.runs(), web.columns("web")
    assert made.status == "open" and made.effect["summary"]
    assert ([d.head for d in web.datasets()], web.runs(), web.columns("web")) == before, "proposing changed something"
    done = approve(web, made.id, seen=made.seen)
    assert done.status == "done" and done.result and done.decided_by == web.settings.actor
    with pytest.raises(Refused, match="is done by"):
        approve(web, made.id)


def test_promotion_proposes_its_waterfall_and_names_what_is_missing(web):
    from flows import score

    with pytest.raises(Refused):
        propose(web, "promote", {"ref": "web", "to": "L1"})
    score(web, "web", ["langid", "gopher_quality", "exact_dup", "minhash", "pii", "secrets", "token_count"])
    recipe = {"name": "own", "to": "L1", "kinds": ["text"], "scores": ["langid", "gopher_quality", "exact_dup", "minhash", "pii", "secrets"],
              "drop": [{"name": "short", "where": "word_count < 5"}, {"name": "copies", "where": "NOT exact_dup_keep"},
                       {"name": "near", "where": "NOT minhash_keep"}, {"name": "personal", "where": "pii_count > 9"},
                       {"name": "secrets", "where": "secrets_count > 0"}]}  # fmt: skip
    made = propose(web, "promote", {"ref": "web", "to": "L1", "recipe": recipe})
    assert made.effect["rows"] + made.effect["dropped"] == 40 and set(made.effect["rules"]) == {
        d["name"] for d in recipe["drop"]
    }
    approve(web, made.id)
    assert web.resolve("web-l1").dataset.rows == made.effect["rows"]
    with pytest.raises(BadInput, match="is a file"):
        propose(web, "promote", {"ref": "web", "to": "L1", "recipe": "/etc/passwd.yaml"})


def test_every_verb_has_an_example_here():
    assert {verb.name for verb in verbs()} == {*EXAMPLES, "promote", "mix_revise"}


def test_a_revision_names_the_version_that_was_seen(web, tmp_path):
    text_dataset(web, tmp_path, "more", sentences(40, seed=3))
    web.publish_mix(
        {"name": "m", "total": 40, "parts": [{"dataset": "web", "weight": 0.5}, {"dataset": "more", "weight": 0.5}]}
    )
    with pytest.raises(BadInput, match="ref"):
        propose(web, "mix_revise", {"ref": "m", "at_sample": 10, "weights": {"web": 0.2, "more": 0.8}})
    made = propose(web, "mix_revise", {"ref": "m@v1", "at_sample": 10, "weights": {"web": 0.2, "more": 0.8}})
    assert made.effect["before"]["ref"] == "m@v1"
    assert approve(web, made.id).result["mix"] == "m@v2"


def test_an_agent_may_propose_and_nothing_else(web):
    agent = as_agent(web, "mix")
    made = propose(agent, "tag", EXAMPLES["tag"], agent="mix", reasons=[{"text": "a good one", "samples": ids(web)}])
    assert made.actor.endswith("(agent mix)") and len(made.reasons[0]["samples"]) == 2
    for write in (
        lambda: approve(agent, made.id),
        lambda: reject(agent, made.id),
        lambda: agent.tag("web", "x"),
        lambda: agent.drop("web"),
        lambda: agent.publish_mix(EXAMPLES["mix_publish"]["spec"]),
        lambda: agent.retract(reason="r", where="true"),
        lambda: agent.consent("web"),
        lambda: agent.select("s", "web", "true"),
    ):
        with pytest.raises(Refused, match="may only propose"):
            write()
    assert find(web, made.id[:8]).status == "open"


def test_hands_never_hold_more_than_their_person(web):
    web.grant = "read"
    agent = as_agent(web, "mix")
    assert agent.grant == "read"
    with pytest.raises(Refused, match="may only read"):
        propose(agent, "tag", EXAMPLES["tag"])


def test_what_changed_since_it_was_shown_is_shown_again(web, tmp_path):
    made = propose(web, "select", EXAMPLES["select"])
    text_dataset(web, tmp_path, "web", sentences(20, seed=9))
    with pytest.raises(Refused, match="has changed since this was shown"):
        approve(web, made.id, seen=made.seen)
    again = find(web, made.id)
    assert again.status == "open" and again.seen != made.seen and "of 60 rows" in again.effect["summary"]
    with pytest.raises(Refused, match="edited since you looked"):
        approve(web, made.id, seen=made.seen)
    assert approve(web, made.id, seen=again.seen).status == "done"


def test_an_edit_keeps_what_stood_there(web):
    made = propose(web, "select", EXAMPLES["select"])
    changed = edit(web, made.id, {**EXAMPLES["select"], "where": "chars > 60"}, note="too wide")
    assert changed.revision == 2 and changed.history[0]["args"]["where"] == "chars > 40"
    with pytest.raises(BadInput, match="wher"):
        edit(web, made.id, {**EXAMPLES["select"], "wher": "chars > 60"})
    assert reject(web, made.id, "no need").note == "no need"
    assert [item.status for item in proposals(web)] == ["rejected"] and proposals(web, "open") == []


@pytest.mark.parametrize(
    "verb, args, says",
    [
        ("drop", {"name": "web"}, "no verb that can be proposed"),
        ("tag", {"ref": "wb", "label": "x"}, "did you mean web"),
        ("select", {"name": "s", "source": "web", "where": "nonsense > 3"}, "nonsense"),
        ("select", {"name": "s", "source": "web"}, "say what to keep"),
        (
            "mix_publish",
            {"spec": {"name": "m", "total": 4000, "parts": [{"dataset": "web", "weight": 1, "max_epochs": 1}]}},
            "refused",
        ),
        ("retract", {"reason": "x", "where": "chars > 100000"}, "nothing is held"),
    ],
)
def test_what_would_be_refused_cannot_be_proposed(web, verb, args, says):
    with pytest.raises((BadInput, NotFound, Refused), match=says):
        propose(web, verb, args)
    assert proposals(web) == []


def test_a_reason_cites_what_is_held(web):
    with pytest.raises(NotFound, match="cites samples that the catalog holds"):
        propose(web, "tag", EXAMPLES["tag"], reasons=[{"text": "so", "samples": ["f" * 32]}])
    with pytest.raises(BadInput, match="a reason is"):
        propose(web, "tag", EXAMPLES["tag"], reasons=["just because"])  # type: ignore[list-item]


def test_two_people_approve_once(web):
    made = propose(web, "rollback", {"name": "web", "to": 1})
    told: list[str] = []

    def press() -> None:
        try:
            told.append(approve(Catalog(web.settings), made.id, seen=made.seen).status)
        except (Refused, Busy) as error:
            told.append(type(error).__name__)

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told.count("done") == 1 and web.resolve("web").dataset.head == 3


def test_a_failed_one_says_why_and_waits_again(web):
    made = propose(web, "tag", EXAMPLES["tag"])
    web.grant = "write"
    from agents.proposals.verbs import VERBS

    held = VERBS["tag"]
    VERBS["tag"] = type(held)(held.name, held.args, held.effect, lambda cat, args: 1 / 0, held.done, held.doc)  # type: ignore[arg-type]
    try:
        with pytest.raises(ZeroDivisionError):
            approve(web, made.id)
    finally:
        VERBS["tag"] = held
    assert find(web, made.id).status == "failed" and "ZeroDivisionError" in (find(web, made.id).error or "")
    assert approve(web, made.id).status == "done"


KILLED = """
import os, signal, sys
from agents.proposals import approve
from agents.proposals.verbs import VERBS, verb
from catalog import Catalog
held = verb("rollback")
def stop(cat, args):
    if sys.argv[3] == "after": held.apply(cat, args)
    os.kill(os.getpid(), signal.SIGKILL)
VERBS["rollback"] = type(held)(held.name, held.args, held.effect, stop, held.done, held.doc)
approve(Catalog.open(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_approval_is_interrupted_and_done_once(web, moment, tmp_path):
    made = propose(web, "rollback", {"name": "web", "to": 1})
    home = str(web.settings.home)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), home, made.id, moment], env=os.environ, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert find(web, made.id).status == "interrupted" and [item.id for item in proposals(web, "open")] == [made.id]
    assert approve(web, made.id).status == "done"
    assert web.resolve("web").dataset.head == 3


def test_what_is_not_asked_for_is_not_loaded(web):
    made = propose(web, "tag", EXAMPLES["tag"])
    old = [Proposal(verb="retract", args={}, status="done", actor="old", created=f"2025-01-01T00:00:{at % 60:02d}")
           for at in range(300)]  # fmt: skip
    late = Proposal(verb="retract", args={}, actor="old", created="2025-02-01")
    with web.session() as session:
        session.add_all([*old, late])
        session.commit()
    loaded: list[str] = []
    listen = (Proposal, "load", lambda held, _: loaded.append(held.id))
    event.listen(*listen)
    try:
        assert waiting(web) == 2 and not loaded
        assert [held.id for held in proposals(web, "open")] == [made.id, late.id] == loaded
        assert [held.id for held in proposals(web, "open", limit=1, of="retract")] == [late.id]
        assert len(proposals(web, "done", limit=7)) == 7 and len(proposals(web, limit=5)) == 5
        assert proposals(web, "nonsense") == [] and len(loaded) == 2 + 1 + 7 + 5
    finally:
        event.remove(*listen)


def test_an_approval_counts_as_running_while_its_process_lives(web):
    here = {"host": socket.gethostname(), "pid": os.getpid(), "process_start": process_start(os.getpid())}
    alive = Proposal(verb="tag", args={}, actor="a", status="applying", **here)
    dead = Proposal(verb="tag", args={}, actor="a", status="applying", **(here | {"process_start": "long ago"}))
    with web.session() as session:
        session.add_all([alive, dead])
        session.commit()
        ids = {alive.id: "applying", dead.id: "interrupted"}
    assert {held.id: held.status for held in proposals(web)} == ids and waiting(web) == 1
    for status, wanted in (("applying", "applying"), ("interrupted", "interrupted"), ("open", "interrupted")):
        assert [ids[held.id] for held in proposals(web, status)] == [wanted], status
