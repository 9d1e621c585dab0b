"""The HTTP face: tokens and their rights, the verbs, errors as JSON with a status, streams, the audit."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from catalog.errors import BadInput, Busy, Corrupt, Missing, NameTaken, NotFound, Refused, StrataError
from catalog.meta.models import Audit, Run, Token
from catalog.testing import sentences, text_dataset
from ui.api.app import create_app, status_of
from ui.api.tokens import create, revoke


@pytest.fixture
def api(cat, tmp_path):
    """Clients with a read, a write and an admin token over one catalog with one dataset."""
    text_dataset(cat, tmp_path, "web", sentences(60), licence="CC-BY-4.0")
    app = create_app(cat)

    def client(verbs: str) -> TestClient:
        return TestClient(app, headers={"Authorization": f"Bearer {create(cat, f'{verbs} token', verbs)}"})

    client.cat, client.bare = cat, TestClient(app)
    return client


def test_health_needs_no_token_and_everything_else_does(api):
    assert api.bare.get("/health").json()["ok"] is True
    paths = api.bare.get("/openapi.json").json()["paths"]
    assert {"/datasets", "/sql", "/search", "/score", "/promote", "/mixes/{ref}/samples", "/runs/{run}/cancel"} <= set(
        paths
    )
    for path, verbs in paths.items():
        for verb in verbs:
            if path != "/health":
                answer = api.bare.request(verb, path, json={})
                assert answer.status_code == 401 and "a live token is needed" in answer.json()["error"], path
    wrong = api.bare.get("/datasets", headers={"Authorization": "Bearer strata_wrong"})
    assert wrong.status_code == 401 and wrong.headers["WWW-Authenticate"] == "Bearer"


def test_only_the_hash_of_a_token_is_stored_and_a_revoked_one_is_refused(api):
    secret = create(api.cat, "ana", "read")
    with api.cat.session() as session:
        held = session.exec(select(Token).where(Token.actor == "ana")).one()
    assert secret not in held.model_dump_json() and len(held.digest) == 64
    headers = {"Authorization": f"Bearer {secret}"}
    assert api.bare.get("/datasets", headers=headers).status_code == 200
    revoke(api.cat, "ana")
    assert api.bare.get("/datasets", headers=headers).status_code == 401


def test_a_read_token_reads_and_writes_nothing(api):
    reader = api("read")
    assert [row["name"] for row in reader.get("/datasets").json()] == ["web"]
    held = reader.get("/datasets/web@v1", params={"sample": 2}).json()
    assert held["rows"] == 60 and len(held["sample"]) == 2
    assert reader.get("/scorers").json() and reader.get("/runs").json()[0]["verb"] == "ingest"
    assert reader.get("/doctor").json() == []
    for method, path, body in (
        ("DELETE", "/datasets/web", None),
        ("POST", "/score", {"name": "web", "scorers": ["langid"]}),
        ("POST", "/promote", {"ref": "web", "to": "L1"}),
        ("POST", "/ingest", {"paths": ["/etc/passwd"], "name": "own"}),
        ("POST", "/mixes", {"name": "m", "parts": [{"dataset": "web"}]}),
        ("POST", "/retract", {"reason": "x", "where": "true"}),
        ("POST", "/datasets/web/rename?to=pages", None),
        ("POST", "/datasets/web/tag?label=first", None),
        ("POST", "/selections", {"name": "s", "dataset": "web", "where": "chars > 1"}),
        ("POST", "/selections", {"name": "s", "dataset": "web", "selector": "random", "budget": 2}),
        ("POST", "/gc", None),
        ("POST", "/mixes/m/revise", {"at_sample": 1, "weights": {"web": 1}}),
        ("POST", "/mixes/m/sign", {"key": "key"}),
        ("POST", "/mixes/m/ledger", {}),
        ("POST", "/trials", {"mix": "m", "results": {"loss": 1.0}}),
    ):
        answer = reader.request(method, path, json=body)
        assert answer.status_code == 403, (path, answer.text)
        assert "read token may only read" in answer.json()["error"]
    assert api.cat.find("web") is not None and not api.cat.columns("web")


def test_files_of_the_service_are_for_admins(api, tmp_path):
    body = {"paths": [str(tmp_path / "web.jsonl")], "name": "again", "licence": "CC0-1.0"}
    assert api("write").post("/ingest", json=body).status_code == 403
    held = api("admin").post("/ingest", json=body).json()
    assert held["counts"]["kept"] == 60 and held["licence"] == "CC0-1.0"


def test_score_plan_and_promote(api):
    writer = api("write")
    planned = writer.post("/plan", json={"name": "web", "scorers": ["gopher_quality"]}).json()
    assert planned["steps"][0]["missing"] == 60
    report = writer.post("/score", json={"name": "web", "scorers": ["gopher_quality"]}).json()
    assert report["place"] == "inline" and report["counts"]["computed"] == 60
    with api.cat.session() as session:
        assert session.exec(select(Run).where(Run.verb == "score")).one().actor == "write token"
    refused = writer.post("/promote", json={"ref": "web", "to": "L2", "where": "word_count > 5"})
    assert refused.status_code == 403 and refused.json()["facts"]["missing"]
    wrong = writer.post("/promote", json={"ref": "web", "to": "L1", "recipe": "../../etc/passwd.yaml"})
    assert wrong.status_code == 400 and "shipped" in wrong.json()["error"]


def test_sql_as_json_and_as_an_arrow_stream(api):
    reader = api("read")
    body = {"query": "SELECT source, count(*) AS n FROM web GROUP BY 1"}
    assert reader.post("/sql", json=body).json()["rows"] == [{"source": "web", "n": 60}]
    cut = reader.post("/sql", json={"query": "SELECT sample_id FROM web", "limit": 7}).json()
    assert len(cut["rows"]) == 7 and cut["truncated"] is True
    answer = reader.post("/sql", json={"query": "SELECT * FROM web", "format": "arrow"})
    assert answer.headers["X-Strata-Truncated"] == "false"
    assert pa.ipc.open_stream(answer.content).read_all().num_rows == 60
    for query in ("DROP TABLE web", "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM nowhere"):
        answer = reader.post("/sql", json={"query": query})
        assert answer.status_code in (400, 404), query
        assert "\n" not in answer.json()["error"]


def test_search_and_more_like_this(api):
    reader = api("read")
    held = reader.post("/search", json={"ref": "web", "words": "river", "mode": "text", "limit": 3}).json()
    assert len(held["hits"]) == 3 and all("river" in hit["text"] for hit in held["hits"])
    assert reader.post("/search", json={"ref": "web"}).status_code == 400
    assert reader.post("/search", json={"ref": "web", "words": "a", "mode": "x"}).status_code == 422


def test_a_mix_is_published_and_pulled_as_a_stream(api):
    writer = api("write")
    made = writer.post("/mixes", json={"name": "diet", "unit": "samples", "parts": [{"dataset": "web"}]}).json()
    assert made["ref"] == "diet@v1" and writer.get("/mixes").json()[0]["ref"] == "diet@v1"
    lock = writer.get("/mixes/diet@v1").json()["lock"]
    answer = api("read").get("/mixes/diet@v1/samples", params={"limit": 10, "start": 3, "rank": 1, "world": 2})
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["X-Strata-Lock"] == lock["digest"] == made["digest"]
    assert [row["_index"] for row in rows] == list(range(3, 23, 2))


@pytest.fixture
def blend(api, tmp_path):
    """A second dataset, and a mix of both whose parts have weights."""
    text_dataset(api.cat, tmp_path, "more", sentences(60, seed=3), licence=None)
    spec = {"name": "blend", "total": 40, "parts": [{"dataset": "web", "weight": 1}, {"dataset": "more", "weight": 1}]}
    api("write").post("/mixes", json=spec)
    return spec


def test_weights_split_and_preview_change_nothing(api, blend):
    reader = api("read")
    assert {"unimax", "regmix"} <= {row["name"] for row in reader.get("/mixers").json()}
    body = {"spec": blend, "mixer": "unimax", "params": {"epochs": 1}}
    held = reader.post("/mixes/weights", json=body).json()
    assert [part["weight"] for part in held["parts"]] == [0.5, 0.5] and held["spec"]["parts"][0]["weight"] == 0.5
    cut = reader.post("/mixes/split", json={"spec": blend, "by": "source", "parts": ["web"]})
    assert cut.status_code == 400 and "one value" in cut.json()["error"]
    used = {
        **blend,
        "use": "commercial",
        "waive": [{"licence": "unknown", "part": "web", "by": "ann", "reason": "asked"}],
    }
    seen = reader.post("/mixes/preview", json=used).json()
    assert seen["licences"]["verdict"] == "blocked" and seen["licences"]["blocked"][0]["rows"] == 60
    assert seen["licences"]["obligations"]["attribution"] == ["CC-BY-4.0"]
    blocked = api("write").post("/mixes", json=used)
    assert blocked.status_code == 403 and "waive it by name" in blocked.json()["error"]
    for wrong, line in (
        ({"mixer": "unmax"}, "did you mean unimax"),
        ({"mixer": "regmix", "trials": "catalog"}, "trial"),
    ):
        answer = reader.post("/mixes/weights", json={"spec": blend, **wrong})
        assert (
            answer.status_code in (400, 404) and line in answer.json()["error"] and "\n" not in answer.json()["error"]
        )
    file = reader.post("/mixes/weights", json={"spec": blend, "mixer": "regmix", "trials": "/etc/passwd"})
    assert file.status_code == 403
    assert len(reader.get("/mixes").json()) == 1


def test_a_revision_its_diff_and_its_signatures(api, blend, tmp_path):
    from catalog.mixes.sign import new_key

    writer, admin = api("write"), api("admin")
    made = writer.post("/mixes/blend/revise", json={"at_sample": 10, "weights": {"web": 3, "more": 1}}).json()
    assert made["ref"] == "blend@v2" and made["revises"]["at"] == 10
    assert [row["revises"] for row in writer.get("/mixes").json()] == [None, "blend@v1"]
    moved = writer.get("/diff", params={"a": "blend@v1", "b": "blend@v2", "scores": True}).json()
    assert moved["samples"]["change"] == 0 and moved["shifts"]["shares"]["source"]["web"][1] > 0.5
    assert writer.get("/diff", params={"a": "web@v1", "b": "web", "scores": True}).status_code == 400
    assert writer.get("/mixes/blend@v2/signatures").json() == []
    key = str(tmp_path / "key")
    fingerprint = new_key(key)
    assert writer.post("/mixes/blend@v2/sign", json={"key": key}).status_code == 403
    assert admin.post("/mixes/blend@v2/sign", json={"key": key}).json()["fingerprint"] == fingerprint
    [held] = writer.get("/mixes/blend@v2/signatures", params={"key": fingerprint[:16]}).json()
    assert held["valid"] and held["signer"] == "admin token" and "file" not in held
    assert writer.get("/mixes/blend@v1/signatures", params={"key": fingerprint}).status_code == 400
    assert writer.get("/mixes/blend@v1/signatures", params={"key": "faa1"}).status_code == 400


def test_trials_are_added_and_compared(api, blend):
    writer = api("write")
    writer.post("/mixes", json={**blend, "seed": 5})
    for mix, losses in (("blend@v1", (3.0, 3.1, 3.2)), ("blend@v2", (2.5, 2.61, 2.69))):
        for seed, loss in enumerate(losses):
            body = {"mix": mix, "results": {"loss": loss, "acc": 0.3}, "seed": seed, "model": f"{mix}-s{seed}"}
            assert writer.post("/trials", json=body).json()["weights"] == {"web": 0.5, "more": 0.5}
    assert len(writer.get("/trials").json()) == 6 and len(writer.get("/trials", params={"mix": "blend@v2"}).json()) == 3
    one = writer.get("/trials/blend@v1-s2").json()
    assert one["results"]["loss"] == 3.2 and writer.get(f"/trials/{one['id'][:8]}").json()["id"] == one["id"]
    rows = {
        row["result"]: row for row in writer.get("/trials/compare", params={"a": "blend@v1", "b": "blend@v2"}).json()
    }
    assert rows["loss"]["verdict"] == "better" and rows["loss"]["pairs"] == 3 and rows["loss"]["high"] < 0
    assert rows["acc"]["verdict"] == "tie"
    assert writer.get("/trials/compare", params={"a": "blend@v1", "b": "nowhere"}).status_code == 404


def test_ledgers_tell_what_a_run_was_served(api, blend):
    from catalog.pull.ledger import Ledger

    mix = api.cat.mix("blend@v1")
    with_losses = Ledger(mix, "run-1", begin={"lock": mix.digest, "next": 0})
    for step, batch in enumerate(mix.batches(0, 20, batch_rows=10), 1):
        with_losses.record(step, batch, loss=[1 / step] * batch.num_rows)
    with_losses.close()
    reader = api("read")
    assert reader.get("/mixes/blend@v1/ledger").json() == {"mix": "blend@v1", "runs": ["run-1"]}
    held = reader.get("/mixes/blend@v1/ledger/run-1").json()
    assert held["lost"] == [] and [part["left"] for part in held["parts"]] == [10, 10]
    lines = reader.get("/mixes/blend@v1/ledger/run-1/curves", params={"by": "source", "bins": 2}).json()
    assert {(line["source"], line["loss"]) for line in lines} >= {("web", 1.0), ("more", 0.5)}
    sample = mix.take([3], ["sample_id"]).column("sample_id")[0].as_py()
    assert [row["step"] for row in reader.get(f"/samples/{sample}/served").json()] == [1]
    assert reader.get("/mixes/blend@v1/ledger/..%2F..").status_code == 404
    assert reader.get("/mixes/blend@v1/ledger/run-2").status_code == 404
    made = api("write").post("/mixes/blend@v1/ledger", json={"run": "run-1"}).json()
    assert made["runs"][0]["samples"] == 20
    assert api("write").post("/mixes/blend@v1/ledger", json={"files": ["/etc/passwd"]}).status_code == 403


def test_versions_and_names(api):
    writer = api("write")
    assert writer.post("/datasets/web@v1/tag", params={"label": "first"}).json() == {"ref": "web@first", "version": 1}
    assert writer.post("/datasets/web/rename", params={"to": "pages"}).json()["new"] == "pages"
    dry = writer.post("/retract", json={"reason": "asked", "where": "chars > 1", "dry_run": True}).json()
    assert dry["rows"] == {"pages": 60}
    dropped = writer.delete("/datasets/pages")
    assert dropped.status_code == 403 and dropped.json()["facts"]["missing"] == ["tag first"]


def test_cards_lineage_selections_and_traces(api):
    writer = api("write")
    assert writer.get("/datasets/web/card").json()["counts"]["rows"] == 60
    assert writer.get("/datasets/web/lineage").json()["focus"] == "web@v1"
    assert writer.get("/diff", params={"a": "web@v1", "b": "web"}).json()["same"] is True
    made = writer.post("/selections", json={"name": "long", "dataset": "web", "where": "chars > 200"}).json()
    assert made["version"] == 1 and [row["name"] for row in writer.get("/selections").json()] == ["long"]
    assert 0 < writer.get("/selections/long").json()["rows"] < 60
    asked = {"name": "few", "dataset": "long", "selector": "random", "budget": 4, "seed": 3}
    held = writer.post("/selections", json=asked).json()
    assert held["selection"] == "few@v1" and held["rows"] == 4 and held["report"]["recipe"]["seed"] == 3
    assert writer.get("/selections/few").json()["report"]["means"]["chars"]["rs2"] > 200
    refused = writer.post("/selections", json={"name": "few", "dataset": "web", "selector": "random"})
    assert refused.status_code == 400 and "within a budget" in refused.json()["error"]
    assert "topk" in {row["name"] for row in api("read").get("/selectors").json()}
    sample = writer.get("/datasets/web", params={"sample": 1}).json()["sample"][0]["sample_id"]
    assert writer.get(f"/samples/{sample}").json()["rows"][0]["dataset"] == "web"


def test_rules_and_the_overlap_of_two_row_sets_are_counted(api):
    writer, reader = api("write"), api("read")
    writer.post("/selections", json={"name": "long", "dataset": "web", "where": "chars > 200"})
    asked = {"rule": ["chars > 200", "chars <= 400"], "examples": 2}
    held = reader.get("/datasets/web/rules", params=asked).json()
    lines = {"query": "SELECT chars > 200 AS a, chars <= 400 AS b, chars FROM web"}
    rows = reader.post("/sql", json=lines).json()["rows"]
    assert held["kept"] == sum(row["a"] and row["b"] for row in rows) and len(held["edges"][0]["kept"]) == 2
    assert held["kept_total"] == sum(row["chars"] for row in rows if row["a"] and row["b"])
    assert [step["alone"] for step in held["steps"]] == [sum(row[side] for row in rows) for side in "ab"]
    asked = {"a": "long", "b": "chars <= 400", "dataset": "web", "examples": 1}
    both = reader.get("/sets/overlap", params=asked).json()
    assert both["both"]["rows"] == held["kept"] and both["a"]["where"] == "chars > 200"
    assert both["only_b"]["rows"] == sum(row["b"] and not row["a"] for row in rows)
    for path, asked, status, line in (
        ("/datasets/web/rules", {"rule": ["char > 2"]}, 404, "did you mean chars"),
        ("/datasets/web/rules", {"rule": ["text > 2"]}, 400, "not a number"),
        ("/datasets/web/rules", {"rule": ["chars = 2"]}, 400, "cannot be read"),
        ("/datasets/web/rules", {}, 422, "rule"),
        ("/sets/overlap", {"a": "lnog", "b": "web"}, 404, "did you mean long"),
        ("/sets/overlap", {"a": "chars > 3", "b": "web"}, 400, "--from DATASET"),
    ):
        answer = reader.get(path, params=asked)
        assert answer.status_code == status and line in answer.json()["error"] and "\n" not in answer.json()["error"]


def test_the_front_over_two_results(api, blend):
    writer, reader = api("write"), api("read")
    writer.post("/mixes/blend/revise", json={"at_sample": 1, "weights": {"web": 3, "more": 1}})
    for mix, loss, acc in (("blend@v1", 3.0, 0.3), ("blend@v2", 2.5, 0.2)):
        writer.post("/trials", json={"mix": mix, "results": {"loss": loss, "acc": acc}, "model": "m"})
    asked = {"spec": blend, "results": ["loss", "acc:higher"]}
    held = reader.post("/mixes/front", json=asked).json()
    assert (held["measured"], held["on_front"]) == (2, 2)
    assert [point["mixes"] for point in held["points"]] == [["blend@v2"], ["blend@v1"]]
    worse = reader.post("/mixes/front", json={**asked, "results": ["loss", "acc:lower"], "take": "r1"}).json()
    assert worse["on_front"] == 1 and worse["spec"]["parts"][0]["weight"] > 0.7
    for more, status, line in (
        ({"results": ["loss", "f1"]}, 404, "f1"),
        ({"results": ["loss", "loss"]}, 400, "both results are loss"),
        ({"results": ["loss"]}, 400, "two results, not 1"),
        ({"take": "r9"}, 404, "r9"),
        ({"params": {"draws": 9}}, 400, "name the one that predicts"),
        ({"mixer": "unimax"}, 400, "predicts no mix but its own"),
        ({"trials": "/etc/passwd"}, 403, "rights"),
    ):
        answer = reader.post("/mixes/front", json={**asked, **more})
        assert answer.status_code == status and line in answer.json()["error"] and "\n" not in answer.json()["error"]
    assert len(reader.get("/mixes").json()) == 2


def test_errors_are_json_with_a_status(api):
    writer = api("write")
    missing = writer.get("/datasets/wep")
    assert missing.status_code == 404 and missing.json()["facts"]["near"] == ["web"]
    assert writer.get("/runs/ffff").status_code == 404
    unknown = writer.post("/score", json={"name": "web", "scorers": ["langid"], "wrong": 1})
    assert unknown.status_code == 422 and "wrong" in unknown.json()["error"]
    huge = writer.post("/sql", content=b"x" * (1 << 20 | 1), headers={"Content-Type": "application/json"})
    assert huge.status_code == 413
    assert writer.post("/runs/ffff/cancel").status_code == 404
    assert writer.get("/nowhere").json() == {"error": "Not Found", "facts": {}}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("dataset", "x"), 404), (NameTaken("x"), 409), (Busy("x"), 409), (Refused("x"), 403), (BadInput("x"), 400),
        (Corrupt("x"), 500), (StrataError("x"), 400), (Missing("package x is not installed"), 424),
        (Missing("cannot reach the metadata database"), 503), (Missing("the Prefect server does not answer"), 503),
    ],
)  # fmt: skip
def test_every_error_class_has_its_status(error, status):
    assert status_of(error) == status


def test_every_request_of_a_token_is_audited(api):
    api("read").get("/datasets")
    api("write").request("DELETE", "/datasets/nowhere")
    with api.cat.session() as session:
        rows = [
            (row.actor, row.verb, row.object)
            for row in session.exec(select(Audit))
            if row.object.startswith(("GET", "DEL"))
        ]
    assert rows == [("read token", "read", "GET /datasets"), ("write token", "request", "DELETE /datasets/nowhere")]


def test_a_lost_database_is_503(api):
    reader = api("read")
    with api.cat.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE token RENAME TO gone")
    answer = reader.get("/datasets")
    assert answer.status_code == 503 and "the metadata database failed" in answer.json()["error"]
