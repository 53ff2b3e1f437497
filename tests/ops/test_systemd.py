"""The units: clean by systemd's own checks, hardened alike, and right about our exit statuses."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rvsense import curve
from rvsense.configfile import slots
from rvsense.daemon.descriptors import ENTRANCES, RESERVE
from rvsense.errors import ConfigError, RvsenseError, UsageError

Tool = Callable[..., subprocess.CompletedProcess[str]]
UNITS = ("rvsense@", "rvsense-cpu@", "rvsense-learner@")
MAX_EXPOSURE = 1.5
DEVICE_KEYS = {"PrivateDevices", "DeviceAllow"}
PROGRAM = "/usr/local/bin/rvsense"


@pytest.fixture(params=UNITS)
def unit(request: pytest.FixtureRequest, root: Path) -> Path:
    """Each unit as it is in the repository."""
    path: Path = root / "systemd" / f"{request.param}.service"
    return path


@pytest.fixture
def instance(unit: Path, tmp_path: Path) -> Path:
    """A copy of the unit as an instance, whose program exists on this machine."""
    path = tmp_path / unit.name.replace("@", "@north")
    path.write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    return path


def service_of(unit: Path) -> dict[str, list[str]]:
    """The values of each key of [Service], in order."""
    section = unit.read_text().partition("\n[Service]\n")[2].partition("\n[")[0]
    found: dict[str, list[str]] = {}
    for line in section.splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def hardening_of(unit: Path) -> str:
    """What follows the word Hardening up to [Install], comments included."""
    return unit.read_text().partition("\n# Hardening")[2].partition("\n[Install]")[0]


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


def test_drop_ins(instance: Path, root: Path, systemd_analyze: Tool) -> None:
    """With every drop-in the unit is still clean."""
    folder = instance.with_name(f"{instance.name}.d")
    folder.mkdir()
    drop_ins = list((root / "systemd").glob("*.conf"))
    assert drop_ins
    for path in drop_ins:
        (folder / path.name).write_text(path.read_text())
    verified = systemd_analyze("verify", "--man=no", instance)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_useless_restarts_are_prevented(unit: Path) -> None:
    """Exactly the statuses that a restart cannot mend stay down."""
    final = {error.status for error in (UsageError("x"), ConfigError("x"))}
    [text] = service_of(unit)["RestartPreventExitStatus"]
    assert {int(word) for word in text.split()} == final
    assert RvsenseError("x").status not in final


def test_known_traps(unit: Path) -> None:
    """What breaks the daemon without a word stays out, and what it needs stays in."""
    service = service_of(unit)
    assert "MemoryDenyWriteExecute" not in service
    assert "ProcSubset" not in service
    assert "AF_NETLINK" in service["RestrictAddressFamilies"][0].split()
    assert service["Type"] == ["notify"]
    assert "WatchdogSec" in service


def test_whatever_reads_again_is_told_so_by_a_reload(unit: Path) -> None:
    """`systemctl reload`, as the security page has it for keys that are revoked: each of them."""
    assert service_of(unit)["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_the_daemons_have_room_for_every_connection(root: Path) -> None:
    """The hard limit of open files is enough for the highest `access.max_connections`."""
    high = slots()["access.max_connections"].high
    assert high is not None
    for name in UNITS[:2]:
        [limits] = service_of(root / "systemd" / f"{name}.service")["LimitNOFILE"]
        assert int(limits.partition(":")[2]) >= ENTRANCES * high + RESERVE


def test_all_units_are_hardened_alike(root: Path) -> None:
    """The same lines, comments included: what one gains the others gain."""
    texts = {hardening_of(root / "systemd" / f"{name}.service") for name in UNITS}
    assert len(texts) == 1
    assert len(texts.pop().splitlines()) > 25


def test_gpu_and_cpu_differ_by_their_devices_alone(root: Path) -> None:
    """One daemon, two places to run: all else that [Service] says is the same."""
    services = [service_of(root / "systemd" / f"{name}.service") for name in UNITS[:2]]
    gpu, cpu = (
        {key: value for key, value in service.items() if key not in DEVICE_KEYS}
        for service in services
    )
    assert gpu == cpu
    assert services[0]["DeviceAllow"] == ["char-nvidia* rw"]
    assert services[1]["PrivateDevices"] == ["yes"]


def test_one_state_directory_one_daemon(root: Path) -> None:
    """GPU and CPU instance of one name exclude each other; the learner's state is its own."""
    folder = root / "systemd"
    for name, other in (("rvsense@", "rvsense-cpu@"), ("rvsense-cpu@", "rvsense@")):
        assert f"\nConflicts={other}%i.service\n" in (folder / f"{name}.service").read_text()
    learner = service_of(folder / "rvsense-learner@.service")
    assert learner["StateDirectory"] != service_of(folder / "rvsense@.service")["StateDirectory"]
    assert f"--state-dir %S/{learner['StateDirectory'][0]}" in learner["ExecStart"][0]


def test_the_credential_is_the_one_that_is_looked_for(root: Path) -> None:
    """The daemon finds its secret key under the name that systemd gives it."""
    text = (root / "systemd" / "curve.conf").read_text()
    name = curve.SERVER_SECRET
    assert f"\nLoadCredential={name}:/etc/rvsense/keys/{name}\n" in text


def test_what_a_unit_runs_is_understood(unit: Path) -> None:
    """The options of ExecStart= exist."""
    [start] = service_of(unit)["ExecStart"]
    command, *words = start.removeprefix(PROGRAM).split()
    options = [word for word in words if word.startswith("--")]
    helped = subprocess.run(
        [sys.executable, "-P", "-m", "rvsense", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert options
    for option in options:
        assert re.search(rf"{option}\b", helped.stdout), option
