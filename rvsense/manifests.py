"""What a published model's manifest must hold for those who read it: it may come from anywhere.

Its digests tell only that nobody has changed it since it was signed; whoever signed it can have
written anything. Pure.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

MOST_BYTES = 1024 * 1024
DEEPEST = 8
"""Maps and lists within each other; ours have four."""
LONGEST_WORD = 200
_INT64 = 2**63
_SHA256 = re.compile(r"[0-9a-f]{64}")


def check(manifest: Any, files: frozenset[str], head_facts: tuple[str, ...]) -> None:
    """That a manifest is one.

    Args:
        manifest: as JSON gave it.
        files: the names that it may give a digest for.
        head_facts: what is said of a head.

    Raises:
        ValueError: naming the entry that is not what it should be.
    """
    if not isinstance(manifest, dict) or not _is_plain(manifest, DEEPEST):
        raise ValueError("not a map, or nested too deep")
    for name, (fits, needed) in _entries(files, head_facts).items():
        if (name in manifest or needed) and not fits(manifest.get(name)):
            raise ValueError(f"{name} is not what it should be")


def _entries(
    files: frozenset[str], head_facts: tuple[str, ...]
) -> dict[str, tuple[Callable[[Any], bool], bool]]:
    """Name → what tells whether its value fits, and whether it must be there."""

    def is_files(value: Any) -> bool:
        return _is_map(value, _is_digest) and value.keys() <= files

    def is_head(value: Any) -> bool:
        if value is None:
            return True
        if not isinstance(value, dict) or not value.keys() <= set(head_facts):
            return False
        numbers = {name: fact for name, fact in value.items() if name != "labels"}
        return _is_map(numbers, _is_number) and _is_map(value.get("labels", {}), _is_count)

    return {
        "step": (_is_count, True),
        "created_ns": (lambda value: type(value) is int and -_INT64 <= value < _INT64, True),
        "encoder": (lambda value: value is None or isinstance(value, dict), False),
        "files": (is_files, True),
        "sha256": (_is_digest, True),
        "manifest_sha256": (_is_digest, True),
        "head": (is_head, True),
        "familiarity": (lambda value: value is None or isinstance(value, dict), True),
        "preset": (_is_word, False),
        "teacher": (lambda value: _is_map(value, _is_word), False),
        "figures": (lambda value: isinstance(value, dict), False),
    }


def _is_plain(value: Any, deepest: int) -> bool:
    if isinstance(value, Mapping):
        return deepest > 0 and all(_is_plain(item, deepest - 1) for item in value.values())
    if isinstance(value, list):
        return deepest > 0 and all(_is_plain(item, deepest - 1) for item in value)
    return True


def _is_map(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(fits, value.values()))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _INT64


def _is_number(value: Any) -> bool:
    return value is None or (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < _INT64
        and math.isfinite(value)
    )


def _is_word(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= LONGEST_WORD)


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
