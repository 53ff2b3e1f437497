"""One number for the clock that a site's stamps were taken by, the same after a restart. Pure.

A source declares an epoch for each start of its clock; jumps it did not declare are counted here.
What is kept of frames outlives the daemon, so the number must say which declared epoch it was: a
count of eras alone would begin again at 0 and take recordings of two epochs for one.
"""

from dataclasses import dataclass

JUMP_BITS = 16
MOST = 1 << JUMP_BITS


def era_of(epoch: int, jumps: int = 0) -> int:
    """A number below 2^32 for (declared epoch, undeclared jumps).

    Epochs that differ by a multiple of 65536 are taken for one, and so are jumps.
    """
    return (epoch % MOST) << JUMP_BITS | jumps % MOST


@dataclass(slots=True)
class Eras:
    """Numbers the eras of one site in turn, none twice (but for what `era_of` takes for one).

    The first era of an epoch above all before is the one that labels of this epoch name. Any
    other has a number of jumps not used yet, since its epoch may have been heard before.
    """

    _highest: int = -1
    _jumps: int = 0

    def next(self, epoch: int) -> int:
        """The number of the era that starts with a frame of `epoch`."""
        if epoch > self._highest:
            self._highest = epoch
            return era_of(epoch)
        self._jumps += 1
        return era_of(epoch, self._jumps)
