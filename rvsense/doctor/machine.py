"""Cores, memory, GPU, clock and versions of this machine."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
import torchvision
import zmq

from rvsense import __version__
from rvsense.config import Config
from rvsense.doctor.findings import Finding

GIB = 2**30
TIGHT_GIB = 2.0
"""Daemon and learner of the edge preset take about this much together."""
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
TIME_ERROR, UNSYNCHRONISED = 5, 0x40


def versions() -> Iterator[Finding]:
    """Of what rvsense stands on."""
    facts = {
        "rvsense": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "zmq": zmq.zmq_version(),
        "pyzmq": zmq.pyzmq_version(),
        "system": platform.platform(terse=True),
    }
    text = ", ".join(f"{name} {version}" for name, version in facts.items())
    if sys.platform == "linux":
        yield Finding("versions", "good", text, facts=facts)
    else:
        yield Finding("versions", "bad", text, "rvsense runs on Linux", facts)


def cores(config: Config) -> Iterator[Finding]:
    """Cores that this process may use, against the threads that are configured."""
    allowed = len(os.sched_getaffinity(0))
    quota = _cgroup_cores()
    usable = allowed if quota is None else min(allowed, quota)
    flags = sorted(set(INSTRUCTIONS) & _cpu_flags())
    facts = {
        "cores": usable,
        "instructions": flags,
        "torch_uses": torch.backends.cpu.get_cpu_capability(),
        "serving_threads": config.serving.threads,
        "learning_threads": config.learning.threads,
    }
    wanted = config.serving.threads + (config.learning.threads if config.learn else 0)
    text = (
        f"{usable:g} usable, {', '.join(flags) or 'no vector instructions known'} (torch uses "
        f"{facts['torch_uses']}); threads: {config.serving.threads} to serve, "
        f"{config.learning.threads} to learn"
    )
    if usable >= wanted:
        yield Finding("cores", "good", text, facts=facts)
    else:
        remedy = f"{wanted} threads want {wanted} cores: serving goes first, learning gets slower"
        yield Finding("cores", "warn", text, remedy, facts)


def memory() -> Iterator[Finding]:
    """What is free, of the machine or of the group that this process is in."""
    total, free = _machine_memory()
    limit = _cgroup_memory()
    if limit is not None and limit[0] < total:
        total, free = limit[0], min(free, limit[0] - limit[1])
    facts = {"total_bytes": total, "free_bytes": free}
    text = f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"
    if free / GIB >= TIGHT_GIB:
        yield Finding("memory", "good", text, facts=facts)
    else:
        remedy = f"a daemon that learns wants {TIGHT_GIB:g} GiB; lower learning.pool_pairs"
        yield Finding("memory", "warn", text, remedy, facts)


def gpu(config: Config) -> Iterator[Finding]:
    """CUDA devices, or why there is none."""
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            name = torch.cuda.get_device_name(index)
            major, minor = torch.cuda.get_device_capability(index)
            facts = {"name": name, "free_bytes": free, "total_bytes": total}
            text = (
                f"{name}, {free / GIB:.1f} of {total / GIB:.1f} GiB free, "
                f"compute capability {major}.{minor}, CUDA {torch.version.cuda}"
            )
            yield Finding("gpu", "good", text, facts=facts)
        return
    reason, remedy = _why_no_cuda()
    asked = "cuda" in (config.serving.device, config.learning.device)
    if asked:
        yield Finding("gpu", "bad", f"cuda is configured, but {reason}", remedy)
    else:
        yield Finding("gpu", "note", f"none: {reason}; the edge preset needs none", remedy)


def clock() -> Iterator[Finding]:
    """Whether the kernel's clock is held in step by something; stamps are only as good as it."""
    synchronised, error_us = _kernel_clock()
    facts = {"synchronised": synchronised, "estimated_error_us": error_us}
    if synchronised:
        yield Finding("clock", "good", f"synchronised, within about {error_us} µs", facts=facts)
    else:
        text = "not synchronised: nothing tells the kernel the time"
        remedy = "fine where radar and camera are stamped by this machine; else chrony or PTP"
        yield Finding("clock", "warn", text, remedy, facts)


def _why_no_cuda() -> tuple[str, str]:
    if torch.version.cuda is None:
        nvidia = Path("/proc/driver/nvidia/version").exists()
        remedy = "install torch with CUDA from its own index" if nvidia else ""
        return "this torch is built without CUDA", remedy
    if not Path("/proc/driver/nvidia/version").exists():
        return "no NVIDIA driver is loaded", ""
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        return "a driver is loaded and no device is visible here", "pass the device through"
    return (
        f"the driver does not serve CUDA {torch.version.cuda}",
        "a newer driver, or a torch for an older CUDA",
    )


def _cpu_flags() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()


def _cgroup_cores() -> float | None:
    quota, period = _words(Path("/sys/fs/cgroup/cpu.max"), 2)
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _machine_memory() -> tuple[int, int]:
    rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    known = {row[0]: int(row[1]) * 1024 for row in rows}
    return known["MemTotal:"], known["MemAvailable:"]


def _cgroup_memory() -> tuple[int, int] | None:
    (most,) = _words(Path("/sys/fs/cgroup/memory.max"), 1)
    (used,) = _words(Path("/sys/fs/cgroup/memory.current"), 1)
    return (int(most), int(used)) if most.isdigit() and used.isdigit() else None


def _words(path: Path, count: int) -> list[str]:
    """As many words of a file of one line; "" where there is none."""
    try:
        words = path.read_text().split()
    except OSError:
        words = []
    return [*words, *[""] * count][:count]


class _Timex(ctypes.Structure):
    """The start of the kernel's struct timex (adjtimex(2)); what follows is not looked at."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    ]


def _kernel_clock() -> tuple[bool, int]:
    """(synchronised, estimated error in µs); asked with modes = 0, which changes nothing.

    Raises:
        OSError: the kernel does not tell.
    """
    timex = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    if state < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return state != TIME_ERROR and not timex.status & UNSYNCHRONISED, int(timex.esterror)
