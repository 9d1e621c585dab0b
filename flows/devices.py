"""Which device and number format a model runs in, when nobody says otherwise.

The choice is part of a column's recipe: bfloat16 and float32 agree to about 1 %, not to the last digit.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from glob import glob
from pathlib import Path

from catalog.errors import BadInput, Missing

DTYPES = ("bfloat16", "float32")
FAST_BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
"""CPU flags (x86, x86, ARM) of bfloat16 dot products. Without them bfloat16 is emulated: measured on a Cascade Lake
Xeon it ran at a quarter of the float32 rate; with amx_bf16 it is some three times faster."""


def pick_device(requested: str | None = None) -> str:
    """ "cuda:0" when a GPU is there, else "cpu"; a request is checked, and refused with the reason."""
    wanted = (requested or os.environ.get("STRATA_DEVICE") or "auto").lower()
    if wanted == "cpu":
        return "cpu"
    kind, _, index = wanted.partition(":")
    if wanted != "auto" and (kind != "cuda" or (index and not index.isdigit())):
        raise BadInput(f"device {requested!r} is not known; use cpu, cuda, cuda:N or auto")
    devices = _cuda_devices()
    if wanted == "auto":
        return "cuda:0" if devices else "cpu"
    if int(index or 0) >= devices:
        raise Missing(f"device {wanted!r} is not here: torch sees {devices} CUDA devices; use cpu or auto")
    return f"cuda:{int(index or 0)}"


def pick_dtype(device: str, requested: str | None = None) -> str:
    """ "bfloat16" where the device computes it fast, else "float32"."""
    wanted = requested or "auto"
    if wanted in DTYPES:
        return wanted
    if wanted != "auto":
        raise BadInput(f"dtype {requested!r} is not known; use {', '.join(DTYPES)} or auto")
    if device.startswith("cuda"):
        return "bfloat16" if _cuda_has_bf16() else "float32"
    return "bfloat16" if cpu_flags() & FAST_BF16_FLAGS else "float32"


DRIVERS = ("/dev/nvidia*", "/dev/nvhost*", "/dev/dxg", "/dev/kfd")
"""Device files of the drivers that torch calls cuda: NVIDIA, Jetson, Windows' Linux, AMD."""


@cache
def cpu_flags(path: str = "/proc/cpuinfo") -> frozenset[str]:
    """Feature flags of this CPU; empty where the system does not list them, which leads to float32."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return frozenset()
    found = next((line for line in lines if line.lower().startswith(("flags", "features"))), ":")
    return frozenset(found.partition(":")[2].split())


@cache
def _cuda_devices() -> int:
    if sys.platform == "linux" and not any(glob(pattern) for pattern in DRIVERS):
        return 0  # no driver: importing torch to be told so takes seconds
    try:
        import torch
    except ImportError:
        return 0
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _cuda_has_bf16() -> bool:
    import torch

    return torch.cuda.is_bf16_supported()
