"""Tables on an S3-compatible endpoint: the emulator of the `moto` package, on loopback."""

import multiprocessing as mp

import pytest

from catalog import Catalog
from catalog.errors import Corrupt
from catalog.mixes import publish
from catalog.testing import append_texts, errors_of, sentences
from flows import score

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def endpoint():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    import boto3

    for name, value in {**KEYS, "STRATA_S3_ENDPOINT": endpoint}.items():
        monkeypatch.setenv(name, value)
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    name = f"strata-{id(monkeypatch)}"
    client.create_bucket(Bucket=name)
    return client, name


@pytest.fixture
def remote(bucket, tmp_path) -> Catalog:
    return Catalog.open(tmp_path / "home", tables=f"s3://{bucket[1]}/tables")


def test_rows_columns_versions_and_compaction_on_an_object_store(remote):
    texts = sentences(60)
    append_texts(remote, "web", texts, fragments=3)
    score(remote, "web", ["gopher_quality", "exact_dup"])
    append_texts(remote, "web", sentences(5, seed=1))
    remote.rollback("web", 1)
    assert remote.gc("web", compact=True, older_than_s=0)["web"]["after"] < 4
    held = [v for b in remote.scan("web", ["text", "word_count"]) for v in b.to_pylist()]
    assert [row["text"] for row in held] == texts and all(row["word_count"] > 5 for row in held)
    assert remote.table_uri(remote.find("web")).startswith("s3://") and errors_of(remote) == []


def _append(home, tables, name, seed, start):
    start.wait()
    append_texts_with_retry(Catalog.open(home, tables=tables), name, seed)


def append_texts_with_retry(cat, name, seed):
    from sqlalchemy.exc import IntegrityError

    for _ in range(20):  # this helper plans its version number before it holds the lease; a loser simply plans again
        try:
            append_texts(cat, name, sentences(4, seed=seed))
            return
        except IntegrityError:
            continue
    raise AssertionError("never published")


def test_two_processes_append_at_once(remote, tmp_path):
    append_texts(remote, "web", sentences(4))
    context = mp.get_context("spawn")
    start = context.Event()
    jobs = [
        context.Process(target=_append, args=(tmp_path / "home", remote.settings.tables, "web", seed, start))
        for seed in (1, 2)
    ]
    for job in jobs:
        job.start()
    start.set()
    for job in jobs:
        job.join(120)
    assert [job.exitcode for job in jobs] == [0, 0]
    assert remote.resolve("web").version.rows == 12 and errors_of(remote) == []


def test_the_endpoint_honours_a_conditional_put(bucket):
    """Lance relies on put-if-absent for its manifests; where a store lacks it, the publish lease is what guarantees order."""
    client, name = bucket
    client.put_object(Bucket=name, Key="once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=name, Key="once", Body=b"2", IfNoneMatch="*")


def test_a_mix_is_pulled_and_resumed_and_its_local_copy_needs_no_store(remote, bucket):
    texts = sentences(300)
    append_texts(remote, "web", texts, fragments=3)
    for shuffle in ("full", "blocks"):
        publish(
            remote, {"name": shuffle, "parts": [{"dataset": "web", "max_epochs": 2}], "order": {"shuffle": shuffle}}
        )
        mix = remote.mix(shuffle)
        served = [text for batch in mix.batches(batch_rows=64) for text in batch.column("text").to_pylist()]
        assert sorted(served[:300]) == sorted(texts) and served[:300] != texts
        rest = [text for batch in remote.mix(shuffle).batches(137) for text in batch.column("text").to_pylist()]
        assert rest == served[137:]
    copy = mix.local(["text"])
    client, name = bucket
    for held in client.list_objects_v2(Bucket=name, Prefix="tables/")["Contents"]:
        if "/data/" in held["Key"]:
            client.delete_object(Bucket=name, Key=held["Key"])
    assert [text for batch in copy.batches() for text in batch.column("text").to_pylist()] == served
    with pytest.raises(Corrupt, match="cannot be read"):
        mix.take([0], ["text"])
