"""The unit: clean by systemd's own checks, hardened, and right about our exit statuses."""

import subprocess
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import pytest

from rvsense.errors import ConfigError, RvsenseError, UsageError

Tool = Callable[..., subprocess.CompletedProcess[str]]
MAX_EXPOSURE = 1.2


@pytest.fixture
def unit(root: Path) -> Path:
    """The unit as it is in the repository."""
    return root / "systemd" / "rvsense@.service"


@pytest.fixture
def instance(unit: Path, tmp_path: Path) -> Path:
    """A copy of the unit as an instance, whose program exists on this machine."""
    path = tmp_path / "rvsense@north.service"
    path.write_text(unit.read_text().replace("/usr/local/bin/rvsense", "/bin/true"))
    return path


def service_of(unit: Path) -> dict[str, str]:
    """The last value of each key of [Service]."""
    parser = ConfigParser(strict=False, interpolation=None, delimiters=["="])
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    return dict(parser["Service"])


def test_verify(instance: Path, systemd_analyze: Tool) -> None:
    """systemd-analyze has nothing to say against the unit."""
    verified = systemd_analyze("verify", "--man=no", instance)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_exposure(instance: Path, systemd_analyze: Tool) -> None:
    """The hardening score stays under the bar, and the bar is one that a bare unit misses."""
    gate = ("security", "--offline=true", "--no-pager", f"--threshold={round(10 * MAX_EXPOSURE)}")
    assert systemd_analyze(*gate, instance).returncode == 0
    bare = instance.with_name("bare.service")
    bare.write_text("[Service]\nExecStart=/bin/true\n")
    assert systemd_analyze(*gate, bare).returncode != 0


def test_gpu_drop_in(instance: Path, root: Path, systemd_analyze: Tool) -> None:
    """With the NVIDIA drop-in the unit is still clean."""
    folder = instance.with_name("rvsense@north.service.d")
    folder.mkdir()
    (folder / "nvidia.conf").write_text((root / "systemd" / "nvidia.conf").read_text())
    verified = systemd_analyze("verify", "--man=no", instance)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_useless_restarts_are_prevented(unit: Path) -> None:
    """Exactly the statuses that a restart cannot mend stay down."""
    final = {error.status for error in (UsageError("x"), ConfigError("x"))}
    text = service_of(unit)["RestartPreventExitStatus"]
    assert {int(word) for word in text.split()} == final
    assert RvsenseError("x").status not in final


def test_known_traps(unit: Path) -> None:
    """What breaks the daemon without a word stays out, and what it needs stays in."""
    service = service_of(unit)
    assert "MemoryDenyWriteExecute" not in service
    assert "ProcSubset" not in service
    assert "AF_NETLINK" in service["RestrictAddressFamilies"].split()
    assert (service["Type"], service["OOMPolicy"]) == ("notify", "continue")
