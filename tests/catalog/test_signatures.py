"""Ed25519 over a lock's digest: who stands for a mix, and what a forged or foreign signature looks like."""

import base64
import json
import stat

import pytest

from catalog import Catalog
from catalog.errors import BadInput
from catalog.mixes import load_lock, publish
from catalog.mixes.sign import new_key, sign, signatures
from catalog.testing import append_texts


@pytest.fixture
def cat(tmp_path):
    cat = Catalog.open(tmp_path / "home")
    append_texts(cat, "web", [f"text {row}" for row in range(9)])
    for total in (5, 6):
        publish(cat, {"name": "m", "total": total, "parts": [{"dataset": "web", "weight": 1}]})
    return cat


def test_a_lock_is_signed_by_several_and_unsigned_is_legal(cat, tmp_path):
    assert signatures(cat, "m@v1") == []
    ann, bob = tmp_path / "ann", tmp_path / "bob"
    for path in (ann, bob):
        new_key(path)
    assert stat.S_IMODE(ann.stat().st_mode) == 0o600
    made = sign(cat, "m@v1", ann)
    assert sign(cat, "m@v1", ann) == made and made["lock"] == load_lock(cat, "m@v1")["digest"]
    sign(cat, "m@v1", bob)
    assert [entry["valid"] for entry in signatures(cat, "m@v1")] == [True, True] and signatures(cat, "m@v2") == []
    assert signatures(cat, "m@v1", f"{bob}.pub")[0]["valid"]
    with pytest.raises(BadInput, match=r"m@v2 is not signed by the key"):
        signatures(cat, "m@v2", f"{ann}.pub")


def test_the_signature_is_rfc_8032_over_the_digest(cat, tmp_path):
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    new_key(tmp_path / "key")
    made = sign(cat, "m@v1", tmp_path / "key")
    public = load_pem_public_key((tmp_path / "key.pub").read_bytes())
    public.verify(base64.b64decode(made["signature"]), b"strata lock 1\n" + made["lock"].encode())


def test_a_signature_of_another_lock_or_a_changed_one_is_not_valid(cat, tmp_path):
    new_key(tmp_path / "key")
    made = sign(cat, "m@v1", tmp_path / "key")
    folder, other = cat.settings.locks, load_lock(cat, "m@v2")["digest"]
    (folder / f"{other}.{made['fingerprint'][:16]}.sig").write_text(json.dumps(made))
    assert [entry["valid"] for entry in signatures(cat, "m@v2")] == [False]
    (folder / f"{made['lock']}.{made['fingerprint'][:16]}.sig").write_text("{")
    assert [entry["valid"] for entry in signatures(cat, "m@v1")] == [False]


def test_what_is_no_key_is_said(cat, tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(BadInput, match="not an unencrypted PEM private key"):
        sign(cat, "m@v1", tmp_path / "text")
    with pytest.raises(BadInput, match="cannot read the key"):
        sign(cat, "m@v1", tmp_path / "none")
    new_key(tmp_path / "key")
    with pytest.raises(BadInput, match="never overwritten"):
        new_key(tmp_path / "key")
    with pytest.raises(BadInput, match="not a PEM public key"):
        signatures(cat, "m@v1", tmp_path / "key")
