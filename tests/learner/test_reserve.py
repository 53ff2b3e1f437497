"""Memory for when there is none: taken as addresses, given back once."""

from pathlib import Path

from rvsense.learner import reserve

SLACK_BYTES = 2 * 1024 * 1024
"""What a test runner takes on the way."""


def told(name: str) -> int:
    """Bytes, as /proc/self/status has them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kib,) = (int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
    return 1024 * kib


def test_the_reserve_is_addresses_alone_and_is_given_back() -> None:
    """It counts against a limit, and takes no memory; taken or spent twice, it is one."""
    reserve.spend()
    limited, resident = told("VmData"), told("VmRSS")
    reserve.set_aside()
    reserve.set_aside()
    taken = told("VmData") - limited
    assert reserve.RESERVE_BYTES <= taken < reserve.RESERVE_BYTES + SLACK_BYTES
    assert told("VmRSS") - resident < SLACK_BYTES
    reserve.spend()
    reserve.spend()
    assert told("VmData") - limited < SLACK_BYTES
