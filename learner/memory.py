"""How much memory this process holds, in bytes."""

import os
from pathlib import Path

import torch

_STATM = Path("/proc/self/statm")


def resident_bytes() -> int | None:
    """Resident memory; None where the system has no /proc."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def device_bytes(device: torch.device) -> int | None:
    """Memory of the accelerator that torch has taken; None on a CPU."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else None
