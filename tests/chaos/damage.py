"""Damage to one file: where and what is drawn, and done to a copy of its folder."""

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

KINDS = ("flip", "zero", "cut", "gone")
WEIGHTS = (40, 25, 30, 5)
EDGE_BYTES = 64
"""Half of the offsets lie so close to one of a file's ends."""
ZERO_BYTES = 512
SMALL_BYTES = 65536
"""Larger files are linked into a copy: whatever writes to them puts a new one in their place."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What is done to the file of this name, from the byte at `offset` on."""

    name: str
    kind: str
    offset: int
    amount: int

    def __str__(self) -> str:
        return f"{self.kind} {self.name} at {self.offset}"

    def done_to(self, content: bytes) -> bytes | None:
        """The file's bytes afterwards; None where it is gone."""
        at = self.offset
        match self.kind:
            case "flip":
                return content[:at] + bytes([content[at] ^ self.amount]) + content[at + 1 :]
            case "zero":
                end = min(at + self.amount, len(content))
                return content[:at] + bytes(end - at) + content[end:]
            case "cut":
                return content[:at]
        return None

    def apply(self, folder: Path) -> None:
        """Put the damaged file in the place of the whole one."""
        path = folder / self.name
        damaged = self.done_to(path.read_bytes())
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)


def draw(random_: random.Random, folder: Path, name: str) -> Damage:
    """Damage that changes something."""
    content = (folder / name).read_bytes()
    while True:
        (kind,) = random_.choices(KINDS, WEIGHTS)
        amount = random_.randint(1, ZERO_BYTES if kind == "zero" else 255)
        damage = Damage(name, kind, _offset(random_, len(content)), amount)
        if not content:
            return Damage(name, "gone", 0, 0)
        if damage.done_to(content) != content:
            return damage


def copy(folder: Path, to: Path) -> Path:
    """A copy that may be damaged, and that a daemon may run in."""
    return Path(shutil.copytree(folder, to, copy_function=_link_large))


def _link_large(source: str, target: str) -> None:
    if os.path.getsize(source) > SMALL_BYTES:
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _offset(random_: random.Random, size: int) -> int:
    where = random_.choice(("head", "tail", "any", "any"))
    if where == "head":
        return random_.randrange(max(1, min(size, EDGE_BYTES)))
    if where == "tail":
        return max(0, size - 1 - random_.randrange(EDGE_BYTES))
    return random_.randrange(max(1, size))
