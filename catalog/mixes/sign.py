"""Signatures of locks: who stands for a mix, checkable without the catalog that published it.

Ed25519 (Bernstein et al. 2011; RFC 8032) over the lock's digest, which covers all of the lock. A signature is a small JSON
file beside the lock's row sets, so a lock may have several, and none is legal and said. The lock itself never changes.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from catalog.errors import BadInput, Missing
from catalog.meta.models import now

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from catalog.catalog import Catalog

PREFIX = b"strata lock 1\n"


def new_key(path: str | Path) -> str:
    """Write a new private key (PEM, readable by its owner alone); returns its fingerprint. The public half: `path`.pub."""
    ed, serialization = _cryptography()
    path = Path(path)
    if path.exists():
        raise BadInput(f"{path} exists; a key is never overwritten: choose another name")
    key = ed.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        path.touch(mode=0o600)
        path.write_bytes(private)
        Path(f"{path}.pub").write_bytes(public)
    except OSError as error:
        raise BadInput(f"the key cannot be written to {path}: {error.strerror}") from None
    return fingerprint(key.public_key())


def sign(cat: Catalog, ref: str, key: str | Path) -> dict[str, Any]:
    """Sign the lock of a mix with a private key; the same key again changes nothing."""
    from catalog.access import check
    from catalog.mixes.lock import find_mix, load_lock

    check(cat, "write", "mixes")
    mix = find_mix(cat, ref)
    digest, private = load_lock(cat, f"{mix.name}@v{mix.version}")["digest"], _private(key)
    public = private.public_key()
    made = {
        "lock": digest, "key": _encoded(public), "fingerprint": fingerprint(public), "signer": cat.settings.actor,
        "signed": now(), "signature": base64.b64encode(private.sign(PREFIX + digest.encode())).decode(),
    }  # fmt: skip
    path = _path(cat, digest, made["fingerprint"])
    if path.exists():
        return orjson.loads(path.read_bytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2))
    part.replace(path)
    return made


def signatures(cat: Catalog, ref: str, public: str | Path | None = None) -> list[dict[str, Any]]:
    """Signatures of a lock, each with `valid`; with a public key only that key's, and a refusal when it has not signed."""
    from catalog.mixes.lock import find_mix, load_lock

    mix = find_mix(cat, ref)
    name = f"{mix.name}@v{mix.version}"
    digest = load_lock(cat, name)["digest"]
    held = [_checked(path, digest) for path in sorted(cat.settings.locks.glob(f"{digest}.*.sig"))]
    if public is None:
        return held
    wanted = fingerprint(_public(public))
    mine = [entry for entry in held if entry["fingerprint"] == wanted]
    if not any(entry["valid"] for entry in mine):
        raise BadInput(
            f"{name} is not signed by the key {wanted[:16]} of {public}; its signer runs `strata mix sign {name}`"
        )
    return mine


def _checked(path: Path, digest: str) -> dict[str, Any]:
    from cryptography.exceptions import InvalidSignature

    ed, _ = _cryptography()
    held = {"file": str(path), "fingerprint": "", "signer": "", "signed": "", "valid": False}
    try:
        body = orjson.loads(path.read_bytes())
        public = ed.Ed25519PublicKey.from_public_bytes(base64.b64decode(body["key"]))
        held |= {"signer": body["signer"], "signed": body["signed"], "fingerprint": fingerprint(public)}
        public.verify(base64.b64decode(body["signature"]), PREFIX + digest.encode())
    except (InvalidSignature, KeyError, TypeError, ValueError, OSError):
        return held
    return {**held, "valid": True}


def fingerprint(public: Ed25519PublicKey) -> str:
    """SHA-256 of the raw public key, in hex."""
    return hashlib.sha256(base64.b64decode(_encoded(public))).hexdigest()


def _encoded(public: Ed25519PublicKey) -> str:
    return base64.b64encode(public.public_bytes_raw()).decode()


def _path(cat: Catalog, digest: str, key: str) -> Path:
    return cat.settings.locks / f"{digest}.{key[:16]}.sig"


def _private(path: str | Path) -> Ed25519PrivateKey:
    ed, serialization = _cryptography()
    try:
        key = serialization.load_pem_private_key(Path(path).read_bytes(), password=None)
    except OSError as error:
        raise BadInput(f"cannot read the key {path}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise BadInput(f"{path} is not an unencrypted PEM private key; make one with `strata mix key FILE`") from None
    if not isinstance(key, ed.Ed25519PrivateKey):
        raise BadInput(f"{path} is not an Ed25519 key; make one with `strata mix key FILE`")
    return key


def _public(path: str | Path) -> Ed25519PublicKey:
    ed, serialization = _cryptography()
    try:
        key = serialization.load_pem_public_key(Path(path).read_bytes())
    except OSError as error:
        raise BadInput(f"cannot read the key {path}: {error.strerror}") from None
    except ValueError:
        raise BadInput(f"{path} is not a PEM public key: give the .pub file beside the private one") from None
    if not isinstance(key, ed.Ed25519PublicKey):
        raise BadInput(f"{path} is not an Ed25519 public key")
    return key


def _cryptography() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ModuleNotFoundError:
        raise Missing("signatures need the package cryptography: pip install 'strata-catalog[sign]'") from None
    return ed25519, serialization
