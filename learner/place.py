"""Where and by which clock a frame was taken, as one number: a site and an epoch of its clock.

Stamps compare only within a place. A digest of the site's name needs no table that would have
to be kept, and the upper bits of a place are its site.
"""

import hashlib

from torch import Tensor

EPOCH_BITS = 32


def place_of(site: str, epoch: int) -> int:
    """A number below 2^63 for (site, epoch); epochs that differ by 2^32 are taken for one."""
    digest = hashlib.blake2b(site.encode(), digest_size=4).digest()
    return (int.from_bytes(digest) >> 1) << EPOCH_BITS | epoch % (1 << EPOCH_BITS)


def site_of(place: int) -> int:
    """The site's number in a place."""
    return place >> EPOCH_BITS


def sites_of(places: Tensor) -> Tensor:
    """The site numbers of (n,) places; -1 stays -1."""
    return places >> EPOCH_BITS
