"""Free memory goes back to the system: seen by the size of a process of its own."""

import platform
import subprocess
import sys

import pytest

HOLES = """
import os
from rvsense.learner import trimming

def resident_mb():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

blocks = [bytearray(b"x" * 65_536) for _ in range(3_000)]
del blocks[::2]
before = resident_mb()
trimming.give_back()
print(before - resident_mb(), len(blocks))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no trim")
def test_holes_between_what_is_used_go_back() -> None:
    """A hundred megabytes in holes of 64 KiB, which nothing large would fit into."""
    ran = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    returned_mb, left = ran.stdout.split()
    assert float(returned_mb) > 50
    assert int(left) == 1_500
