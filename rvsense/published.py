"""A published model on disk: one folder, whole or not there, checked before it is used.

    <models>/<id>/weights.safetensors    the averaged encoder
    <models>/<id>/head.safetensors       classifier and familiarity, when there are any
    <models>/<id>/manifest.json          what made it, and the sha256 of the files beside it
                                         and of itself

`id` is `step-<training step>-<first digits of the digest>`. A step says nothing about age:
counting starts anew with another preset or lost checkpoints, so age is the manifest's
`created_ns`.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor

from rvsense import atomic, jsontext, manifests
from rvsense.errors import ModelError
from rvsense.familiar import Familiarity, Yardstick
from rvsense.head import HeadFit
from rvsense.wire import short

FORMAT = 3
"""3: the head's own uncertainty; 2: familiarity by place, beam and doubt; 1 had the distance
between pooled features alone."""
READABLE = (2, 3)
"""A head of format 2 has no uncertainty and answers as it did."""
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
HEAD = "head.safetensors"
FILES = frozenset((WEIGHTS, HEAD))
"""What a manifest gives digests for."""
REFUSED = "refused-"
"""Before the name of a folder whose model failed its exam: nothing begins with that one."""
REFUSAL = "refusal.json"
"""In such a folder: {"reason", "detail", "at_ns"}."""
HEAD_FACTS = ("temperature", "accuracy", "ece", "labels", "doubt")
FAMILIARITY_TENSORS = ("map_mean", "map_basis", "reference", "beam_mean", "beam_whitening")


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """A folder that has been checked, with its manifest."""

    path: Path
    manifest: dict[str, Any]

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def step(self) -> int:
        """Training steps behind the weights."""
        return int(self.manifest["step"])

    @property
    def sha256(self) -> str:
        """Digest over the digests of all its files: the name of this exact model."""
        return str(self.manifest["sha256"])

    @property
    def manifest_sha256(self) -> str:
        """Digest of the manifest itself."""
        return str(self.manifest["manifest_sha256"])

    def weights(self) -> dict[str, Tensor]:
        """The encoder's tensors, by name."""
        return read_tensors(self.path / WEIGHTS)

    def head(self) -> HeadFit | None:
        """The classifier, or None when no label had been seen."""
        facts = self.manifest["head"]
        if facts is None:
            return None
        tensors = read_tensors(self.path / HEAD)
        return HeadFit(
            weight=tensors["head.weight"],
            bias=tensors["head.bias"],
            mean=tensors["head.mean"],
            std=tensors["head.std"],
            known=tensors.get("head.known"),
            **facts,
        )

    def familiarity(self) -> Familiarity | None:
        """What the out-of-distribution score is measured by, or None."""
        facts = self.manifest["familiarity"]
        if facts is None:
            return None
        tensors = read_tensors(self.path / HEAD)
        return Familiarity(
            **{name: tensors[f"familiarity.{name}"] for name in FAMILIARITY_TENSORS},
            place=Yardstick(**facts["place"]),
            beam=Yardstick(**facts["beam"]),
            scale=facts["scale"],
            k=facts["k"],
        )


def publish(
    models_dir: Path,
    *,
    weights: Mapping[str, Tensor],
    head: HeadFit | None,
    familiarity: Familiarity | None,
    manifest: Mapping[str, Any],
) -> PublishedModel:
    """Write a model folder; it appears whole or not at all.

    `manifest` must hold `step`, `created_ns` and `encoder` (an EncoderSpec as a dict);
    `preset`, `teacher`, `data`, `config` and the like are carried as they are.

    Raises:
        OSError: from the disk.
    """
    facts: dict[str, Any] = dict(manifest) | {
        "format": FORMAT,
        "head": _head_facts(head),
        "familiarity": _familiarity_facts(familiarity),
    }
    small = _small_tensors(head, familiarity)
    # As JSON gives it back: the digest is of what a reader will see.
    facts = json.loads(json.dumps(facts))

    def fill(folder: Path) -> str:
        save_file({k: v.contiguous() for k, v in weights.items()}, folder / WEIGHTS)
        if small:
            save_file(small, folder / HEAD)
        files = {item.name: atomic.sha256_of(item) for item in sorted(folder.iterdir())}
        facts["files"] = files
        facts["sha256"] = _digest(files)
        facts["manifest_sha256"] = _own_digest(facts)
        (folder / MANIFEST).write_text(_text(facts))
        final = models_dir / f"step-{facts['step']:08d}-{facts['sha256'][:8]}"
        if final.exists() and not _is_whole(final):
            shutil.rmtree(final)  # the same model again, after a restore: mend it
        return final.name

    try:
        path = atomic.write_named_folder(models_dir, fill)
    except safetensors.SafetensorError as error:  # how that library reports a full disk
        raise OSError(f"{models_dir}: {error}") from None
    # Of the same model made again, as after a restore, the folder of the first time stays.
    return PublishedModel(path, read_manifest(path))


def open_model(path: Path) -> PublishedModel:
    """Check a model folder against its manifest.

    Raises:
        ModelError: naming the folder and what is missing, damaged or of another version.
    """
    manifest = read_manifest(path)
    for name, wanted in manifest["files"].items():
        try:
            found = atomic.sha256_of(path / name)
        except OSError as error:
            raise ModelError(f"{path / name}: not readable ({error.strerror})") from None
        if found != wanted:
            raise ModelError(f"{path / name}: does not match its checksum")
    return PublishedModel(path, manifest)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a model folder; the files that it names are not looked at.

    Raises:
        ModelError: naming the manifest, when it is damaged or of another version.
    """
    place = path / MANIFEST
    try:
        text = _read(place)
        found: dict[str, Any] = jsontext.parse(text)
        if found["format"] not in READABLE:
            raise ModelError(
                f"{place}: format {short(found['format'])}, this version reads {READABLE}"
            )
        manifests.check(found, FILES, HEAD_FACTS)
        whole = found["manifest_sha256"] == _own_digest(found) and text == _text(found)
        files: dict[str, str] = found["files"]
        if not whole or found["sha256"] != _digest(files) or WEIGHTS not in files:
            raise ModelError(f"{place}: does not match its checksum")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{place}: not a readable manifest ({error!r})") from None
    return found


def list_models(models_dir: Path) -> list[Path]:
    """Model folders, oldest first by when they were made; none of them is checked."""
    if not models_dir.is_dir():
        return []
    return sorted(models_dir.glob("step-*-*"), key=lambda path: (made_ns(path), path.name))


def prune(models_dir: Path, keep: int, spare: frozenset[str] = frozenset()) -> None:
    """Remove all but the newest `keep` models, and never one named in `spare`."""
    for path in list_models(models_dir)[:-keep]:
        if path.name not in spare:
            atomic.remove_folder(path)


def made_ns(path: Path) -> int:
    """The manifest's `created_ns`; of a damaged model, when its folder was last changed."""
    try:
        return int(jsontext.parse(_read(path / MANIFEST))["created_ns"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        pass
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # gone since it was listed


def refused_ns(path: Path) -> int:
    """When a model that was set aside was refused; where that is not written, `made_ns`."""
    try:
        return int(jsontext.parse(_read(path / REFUSAL))["at_ns"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return made_ns(path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        ModelError: naming the file, when it is damaged.
    """
    try:
        return load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path}: not readable ({error})") from None


def _read(path: Path) -> str:
    """A small file's text. Raises OSError, or ValueError where it is no small text."""
    with path.open("rb") as data:
        content = data.read(manifests.MOST_BYTES + 1)
    if len(content) > manifests.MOST_BYTES:
        raise ValueError(f"more than {manifests.MOST_BYTES} bytes")
    return content.decode()


def _is_whole(path: Path) -> bool:
    try:
        open_model(path)
    except ModelError:
        return False
    return True


def _text(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True)


def _own_digest(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(_text(rest).encode()).hexdigest()


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


def _head_facts(head: HeadFit | None) -> dict[str, Any] | None:
    if head is None:
        return None
    return {name: getattr(head, name) for name in HEAD_FACTS}


def _familiarity_facts(familiarity: Familiarity | None) -> dict[str, Any] | None:
    if familiarity is None:
        return None
    return {
        "place": asdict(familiarity.place),
        "beam": asdict(familiarity.beam),
        "scale": familiarity.scale,
        "k": familiarity.k,
    }


def _small_tensors(head: HeadFit | None, familiarity: Familiarity | None) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    if head is not None:
        for name in ("weight", "bias", "mean", "std"):
            tensors[f"head.{name}"] = getattr(head, name).contiguous()
        if head.known is not None:
            tensors["head.known"] = head.known.contiguous()
    if familiarity is not None:
        for name in FAMILIARITY_TENSORS:
            tensors[f"familiarity.{name}"] = getattr(familiarity, name).contiguous()
    return tensors
