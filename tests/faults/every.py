"""One writer after the other, with the first of its operations going wrong, then the second, …

After each fault: whoever called was told by a named error, or had nothing to be told; what is on
the disk is whole; and the same thing done again, on a disk that is well, succeeds.
"""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rvsense.errors import RvsenseError
from tests.faults.disk import FailingDisk, How, Killed

MOST = 2000
"""Operations of a writer: one that makes more never ends."""
Said = list[object]
"""What a writer has announced: it must hold from then on."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Something of the product that writes.

    prepare  makes the folder as it is found
    act      does what is written there, and appends what it announces; Killed is appended for it
    check    asserts that what is there is whole, and is what was announced; `done`: nothing failed
    errors   what `act` may raise for a fault; one of rvsense must name the folder, or what is in it
    """

    name: str
    prepare: Callable[[Path], None]
    act: Callable[[Path, Said], None]
    check: Callable[[Path, Said, bool], None]
    errors: tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many operations of a writer went wrong, one in each run, by name."""

    faults: Counter[str]

    @property
    def total(self) -> int:
        """All of them."""
        return self.faults.total()


def every(writer: Writer, how: How, work: Path) -> Counted:
    """Let each operation of a writer go wrong once; `work` is a folder of our own.

    Raises:
        ExceptionGroup: what did not hold, each with the operation after which it did not.
    """
    origin, faults, problems = work / "origin", Counter[str](), list[Exception]()
    writer.prepare(origin)
    for n in range(1, MOST):
        folder = work / "tried"
        shutil.copytree(origin, folder)
        disk, said = FailingDisk(folder, n, how), Said()
        try:
            _tried(writer, disk, folder, said)
            writer.check(folder, said, not disk.struck)
            if disk.struck:
                writer.act(folder, said)
                writer.check(folder, said, True)
        except Exception as error:
            error.add_note(f"operation {n}: {disk.what}")
            problems.append(error)
        shutil.rmtree(folder)
        if not disk.struck:
            break
        faults[disk.what.partition(" ")[0]] += 1
    else:
        problems.append(AssertionError("never a clean pass"))
    if problems:
        raise ExceptionGroup(f"{writer.name}, {how}", problems)
    return Counted(faults)


def _tried(writer: Writer, disk: FailingDisk, folder: Path, said: Said) -> None:
    try:
        with disk:
            writer.act(folder, said)
    except Killed:
        assert disk.struck
        said.append(Killed)
    except writer.errors as error:
        if isinstance(error, RvsenseError) and str(folder) not in str(error):
            raise AssertionError(f"it does not say where: {error!r}") from error
