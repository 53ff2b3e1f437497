"""Optional packages: which extras are whole, and how to get the others."""

import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from rvsense.doctor.findings import Finding

FOR_DEVELOPERS = ("dev", "bench")
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+).*;.*extra == ['\"](?P<extra>[^'\"]+)['\"]")


def extras() -> Iterator[Finding]:
    """One finding for each extra of rvsense."""
    for extra, wanted in wanted_by_extra(metadata.requires("rvsense") or []).items():
        missing = [name for name in wanted if not _is_here(name)]
        facts = {"missing": missing}
        about = f"extra {extra}"
        if missing:
            remedy = f"{pip()} install 'rvsense[{extra}]'"
            text = f"not here: {', '.join(missing)}"
            yield Finding(about, "note", text, remedy, facts)
        else:
            yield Finding(about, "good", ", ".join(wanted), facts=facts)


def pip() -> str:
    """The pip that installs beside this rvsense: a service's folder is on no PATH."""
    here, found = Path(sys.prefix) / "bin" / "pip", shutil.which("pip")
    if here.exists() and (found is None or not here.samefile(found)):
        return str(here)
    return "pip"


def wanted_by_extra(requirements: list[str]) -> dict[str, list[str]]:
    """Packages by extra, out of a distribution's requirements; those for developers aside."""
    found: dict[str, list[str]] = {}
    for line in requirements:
        match = REQUIREMENT.match(line)
        if match is not None and match["extra"] not in FOR_DEVELOPERS:
            found.setdefault(match["extra"], []).append(match["name"])
    return found


def _is_here(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
