"""A published model on disk: one folder, whole or not there, checked before it is used.

    <models>/<id>/weights.safetensors    the averaged encoder
    <models>/<id>/head.safetensors       classifier and familiarity, when there are any
    <models>/<id>/manifest.json          what made it, and the sha256 of the files beside it

`id` is `step-<training step>-<first digits of the digest>`, so names sort by age.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor

from rvsense import atomic
from rvsense.errors import ModelError
from rvsense.head import Familiarity, HeadFit

FORMAT = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
HEAD = "head.safetensors"


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
        """The reference features for the out-of-distribution score, or None."""
        facts = self.manifest["familiarity"]
        if facts is None:
            return None
        return Familiarity(read_tensors(self.path / HEAD)["familiarity.reference"], **facts)


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
    facts = dict(manifest) | {
        "format": FORMAT,
        "head": _head_facts(head),
        "familiarity": None
        if familiarity is None
        else {"scale": familiarity.scale, "k": familiarity.k},
    }
    small = _small_tensors(head, familiarity)
    # Written under a temporary name first: the final name holds the digest of the content.
    aside = models_dir / f".writing-{facts['step']:08d}"
    shutil.rmtree(aside, ignore_errors=True)

    def fill(folder: Path) -> None:
        save_file({k: v.contiguous() for k, v in weights.items()}, folder / WEIGHTS)
        if small:
            save_file(small, folder / HEAD)
        files = {item.name: atomic.sha256_of(item) for item in sorted(folder.iterdir())}
        facts["files"] = files
        facts["sha256"] = _digest(files)
        (folder / MANIFEST).write_text(json.dumps(facts, indent=1, sort_keys=True))

    atomic.write_folder(aside, fill)
    final = models_dir / f"step-{facts['step']:08d}-{facts['sha256'][:8]}"
    if final.exists():
        shutil.rmtree(aside)
    else:
        aside.rename(final)
        atomic.sync_directory(models_dir)
    return PublishedModel(final, facts)


def open_model(path: Path) -> PublishedModel:
    """Check a model folder against its manifest.

    Raises:
        ModelError: naming the folder and what is missing, damaged or of another version.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        files: dict[str, str] = manifest["files"]
        if manifest["format"] != FORMAT:
            raise ModelError(f"{path}: format {manifest['format']}, this version reads {FORMAT}")
        for name, wanted in files.items():
            if Path(name).name != name or atomic.sha256_of(path / name) != wanted:
                raise ModelError(f"{path}: {name} does not match its checksum")
        if manifest["sha256"] != _digest(files) or WEIGHTS not in files:
            raise ModelError(f"{path}: the manifest does not fit its files")
        return PublishedModel(path, manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: not a readable model ({error})") from None


def list_models(models_dir: Path) -> list[Path]:
    """Model folders, oldest training step first; none of them is checked."""
    return sorted(models_dir.glob("step-*-*")) if models_dir.is_dir() else []


def prune(models_dir: Path, keep: int, spare: frozenset[str] = frozenset()) -> None:
    """Remove all but the newest `keep` models, and never one named in `spare`."""
    for path in list_models(models_dir)[:-keep]:
        if path.name not in spare:
            shutil.rmtree(path, ignore_errors=True)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file.

    Raises:
        ModelError: naming the file, when it is damaged.
    """
    try:
        return load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f"{path}: not readable ({error})") from None


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


def _head_facts(head: HeadFit | None) -> dict[str, Any] | None:
    if head is None:
        return None
    return {name: getattr(head, name) for name in ("temperature", "accuracy", "ece", "labels")}


def _small_tensors(head: HeadFit | None, familiarity: Familiarity | None) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    if head is not None:
        for name in ("weight", "bias", "mean", "std"):
            tensors[f"head.{name}"] = getattr(head, name).contiguous()
    if familiarity is not None:
        tensors["familiarity.reference"] = familiarity.reference.contiguous()
    return tensors
