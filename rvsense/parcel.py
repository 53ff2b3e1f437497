"""A published model on its way to another machine: offered by name, fetched in chunks, checked.

The learner offers {id, sha256, manifest_sha256, files: name → bytes}; whoever wants it asks for
one chunk after another, at its own pace, so the sender keeps nothing between two questions. What
comes is written aside and takes its name only when it is the very model that was offered: the
manifest by its digest, every other file by the manifest, and no file beyond those. Nothing is ever
unpickled.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rvsense import atomic
from rvsense.errors import ModelError
from rvsense.published import HEAD, MANIFEST, WEIGHTS, PublishedModel, open_model
from rvsense.wire import short

CHUNK_BYTES = 1024 * 1024
FILES = frozenset((MANIFEST, WEIGHTS, HEAD))
MOST_MANIFEST_BYTES = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"step-[0-9]{8,18}-[0-9a-f]{8}")

ReadFile = Callable[[str, int], Iterable[bytes]]
"""(name, bytes) of a file that was offered to its content, piece by piece."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be fetched."""

    id: str
    sha256: str
    manifest_sha256: str
    files: Mapping[str, int]

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(self.files.values())


def offer_of(model: PublishedModel) -> dict[str, Any]:
    """What is said of a model to those who may fetch it, as plain values.

    Raises:
        OSError: when the model has gone.
    """
    names = (MANIFEST, *model.manifest["files"])
    files = {name: (model.path / name).stat().st_size for name in names}
    digests = {"sha256": model.sha256, "manifest_sha256": model.manifest_sha256}
    return {"id": model.id, **digests, "files": files}


def read_offer(values: Mapping[str, Any], most_bytes: int) -> Offer:
    """An offer as it came from another machine.

    Raises:
        ModelError: when it is out of form, or larger than `most_bytes`.
    """
    try:
        digests = values["sha256"], values["manifest_sha256"]
        offer = Offer(values["id"], *digests, dict(values["files"]))
        sound = (
            _ID.fullmatch(offer.id) is not None
            and all(_SHA256.fullmatch(digest) is not None for digest in digests)
            and {MANIFEST, WEIGHTS} <= offer.files.keys() <= FILES
            and all(type(size) is int and size >= 0 for size in offer.files.values())
            and offer.files[MANIFEST] <= MOST_MANIFEST_BYTES
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"an offered model is out of form ({short(error)})") from None
    if not sound:
        raise ModelError(f"an offered model is out of form: {short(values)}")
    if offer.size_bytes > most_bytes:
        raise ModelError(
            f"{offer.id} has {offer.size_bytes:,} bytes, and serving.max_model_bytes is "
            f"{most_bytes:,}"
        )
    return offer


def read_chunk(models_dir: Path, id: str, name: str, offset: int) -> bytes:
    """Up to CHUNK_BYTES of a model's file, from `offset` on.

    Raises:
        ModelError: when there is no such model or file, or it cannot be read.
    """
    if _ID.fullmatch(id) is None or name not in FILES:
        raise ModelError(f"no such file of a model: {id!r}, {name!r}")
    try:
        with (models_dir / id / name).open("rb") as data:
            data.seek(offset)
            return data.read(CHUNK_BYTES)
    except (OSError, ValueError, OverflowError) as error:
        raise ModelError(f"{models_dir / id / name}: not readable ({error})") from None


def held(models_dir: Path, offer: Offer) -> bool:
    """Whether this very model is there already, and whole."""
    try:
        return open_model(models_dir / offer.id).sha256 == offer.sha256
    except ModelError:
        return False


def land(models_dir: Path, offer: Offer, read_file: ReadFile) -> Path:
    """Write what `read_file` brings to a folder that appears whole and checked, or not at all.

    Raises:
        ModelError: when it is not what was offered.
        OSError: from the disk.
        Exception: whatever `read_file` raises.
    """

    def fill(folder: Path) -> str:
        for name, size in offer.files.items():
            with (folder / name).open("wb") as out:
                for piece in read_file(name, size):
                    out.write(piece)
        model = open_model(folder)
        if (model.sha256, model.manifest_sha256) != (offer.sha256, offer.manifest_sha256) or {
            MANIFEST,
            *model.manifest["files"],
        } != offer.files.keys():
            raise ModelError(f"{offer.id}: what came is another model than was offered")
        final = models_dir / offer.id
        if final.exists():
            shutil.rmtree(final)  # damaged, or it would not have been fetched
        return offer.id

    return atomic.write_named_folder(models_dir, fill)
