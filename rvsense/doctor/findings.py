"""Findings of a doctor: what was looked at, how it stands, and the remedy."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rvsense.errors import RvsenseError

Standing = Literal["good", "note", "warn", "bad"]
MARK, ABOUT = 5, 15
"""Columns that the mark and what a finding is about take in a terminal."""
MARKS: dict[Standing, str] = {"good": "ok", "note": "--", "warn": "!", "bad": "BAD"}
"""`note`: not there, and not needed; `warn`: works, worse than it could; `bad`: stops rvsense."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `facts` are the same for programs."""

    about: str
    standing: Standing
    text: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


Check = Callable[[], Iterable[Finding]]


def gather(checks: Mapping[str, Check]) -> list[Finding]:
    """The findings of all checks, by the name of each; none of them ends the others."""
    found: list[Finding] = []
    for about, check in checks.items():
        try:
            found.extend(check())
        except RvsenseError as error:
            found.append(Finding(about, "bad", str(error)))
        except Exception as error:  # an odd machine must still get the rest of its report
            found.append(Finding(about, "warn", f"could not be looked at ({error!r})"))
    return found


def is_fit(found: Iterable[Finding]) -> bool:
    """Whether nothing of it stops rvsense."""
    return all(finding.standing != "bad" for finding in found)


def as_map(found: Sequence[Finding], advice: Sequence[str]) -> dict[str, Any]:
    """For programs."""
    return {
        "fit": is_fit(found),
        "findings": [asdict(finding) for finding in found],
        "next": list(advice),
    }


def as_lines(found: Sequence[Finding], advice: Sequence[str], columns: int = 100) -> list[str]:
    """For a terminal: a mark, what it is about, how it stands; the remedy below."""
    lines = []
    for finding in found:
        begin = f"{MARKS[finding.standing]:<{MARK}}{finding.about:<{ABOUT - 1}} "
        lines += _wrapped(finding.text, begin, columns)
        if finding.remedy:
            lines += _wrapped(f"→ {finding.remedy}", "", columns)
    return [*lines, "", "What to run next:", *(f"  {line}" for line in advice)]


def _wrapped(text: str, begin: str, columns: int) -> list[str]:
    rest = " " * (MARK + ABOUT)
    return textwrap.wrap(
        text,
        width=columns,
        initial_indent=begin or rest,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
