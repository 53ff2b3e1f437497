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

from rvsense import atomic
from rvsense.errors import ModelError
from rvsense.familiar import Familiarity, Yardstick
from rvsense.head import HeadFit

FORMAT = 2
"""2: familiarity by place, beam and doubt; 1 had the distance between pooled features alone."""
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
HEAD = "head.safetensors"
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

    `manifest` must hold `step` and `encoder` (an EncoderSpec as a dict); `created_ns`,
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

    return PublishedModel(atomic.write_named_folder(models_dir, fill), facts)


def open_model(path: Path) -> PublishedModel:
    """Check a model folder against its manifest.

    Raises:
        ModelError: naming the folder and what is missing, damaged or of another version.
    """
    manifest = _read_manifest(path)
    for name, wanted in manifest["files"].items():
        try:
            found = atomic.sha256_of(path / name)
        except OSError as error:
            raise ModelError(f"{path / name}: not readable ({error.strerror})") from None
        if found != wanted:
            raise ModelError(f"{path / name}: does not match its checksum")
    return PublishedModel(path, manifest)


def _read_manifest(path: Path) -> dict[str, Any]:
    place = path / MANIFEST
    try:
        text = place.read_text()
        manifest: dict[str, Any] = json.loads(text)
        if manifest["format"] != FORMAT:
            raise ModelError(f"{place}: format {manifest['format']}, this version reads {FORMAT}")
        whole = manifest["manifest_sha256"] == _own_digest(manifest) and text == _text(manifest)
        files: dict[str, str] = manifest["files"]
        if not whole or manifest["sha256"] != _digest(files) or WEIGHTS not in files:
            raise ModelError(f"{place}: does not match its checksum")
        if any(Path(name).name != name for name in files):
            raise ModelError(f"{place}: names a file outside its folder")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{place}: not a readable manifest ({error!r})") from None
    return manifest


def list_models(models_dir: Path) -> list[Path]:
    """Model folders, oldest first by when they were made; none of them is checked."""
    if not models_dir.is_dir():
        return []
    return sorted(models_dir.glob("step-*-*"), key=lambda path: (_made_ns(path), path.name))


def prune(models_dir: Path, keep: int, spare: frozenset[str] = frozenset()) -> None:
    """Remove all but the newest `keep` models, and never one named in `spare`."""
    for path in list_models(models_dir)[:-keep]:
        if path.name not in spare:
            shutil.rmtree(path, ignore_errors=True)


def _made_ns(path: Path) -> int:
    """The manifest's `created_ns`; of a damaged model, when its folder was last changed."""
    try:
        return int(json.loads((path / MANIFEST).read_text())["created_ns"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        pass
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0  # gone since it was listed


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        ModelError: naming the file, when it is damaged.
    """
    try:
        return load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path}: not readable ({error})") from None


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
    return {name: getattr(head, name) for name in ("temperature", "accuracy", "ece", "labels")}


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
    if familiarity is not None:
        for name in FAMILIARITY_TENSORS:
            tensors[f"familiarity.{name}"] = getattr(familiarity, name).contiguous()
    return tensors
