"""Mixes: a spec becomes a lock, and a lock decides every index of what is trained on."""

from catalog.mixes.diff import diff_mixes
from catalog.mixes.lock import find_mix, load_lock
from catalog.mixes.publish import preview, publish, summary
from catalog.mixes.revise import revise
from catalog.mixes.spec import Spec, load_spec

__all__ = ["Spec", "diff_mixes", "find_mix", "load_lock", "load_spec", "preview", "publish", "revise", "summary"]
