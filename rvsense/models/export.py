"""`rvsense model export`: one file that answers without rvsense, checked before it takes its name.

Whatever the format, the file is read again and run on frames of many kinds beside the model that
the daemon would serve; where the two differ by more than TOLERANCE there is no file.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import save_file

from rvsense import __version__, atomic
from rvsense.config import Serving
from rvsense.disk import naming
from rvsense.errors import ModelError, RvsenseError, UsageError
from rvsense.frames import CLASSES
from rvsense.models.printing import size
from rvsense.models.program import Program
from rvsense.models.recipe import Recipe
from rvsense.models.trial import Heatmaps, trial_frames
from rvsense.models.whole import INPUT, Whole
from rvsense.published import open_model

FORMATS = ("safetensors", "onnx")
TOLERANCE = 1e-4
"""Of a difference, as a share of the value where that is above 1."""


def export(
    path: Path,
    out: Path,
    *,
    form: str | None = None,
    force: bool = False,
    frames: Sequence[Heatmaps] = (),
) -> dict[str, Any]:
    """Write the model folder `path` as the file `out`; returns what was written and measured.

    Args:
        form: one of FORMATS; None = by the name of `out`.
        frames: (chirps, 128, 128, 2) frames of the operator's own to compare on as well.

    Raises:
        UsageError: `out` is there, its format cannot be told, or something is not installed.
        ModelError: the model is damaged.
        RvsenseError: the file does not answer as the model does, or cannot be written.
    """
    form = form or out.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise UsageError(f"{out}: its name tells no format; give --format safetensors or onnx")
    with naming(out):
        if out.exists() and not force:
            raise UsageError(f"{out} is there already; choose another name, or --force")
    whole = Whole(open_model(path))
    try:
        handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    except OSError as error:
        raise UsageError(f"{out.parent} cannot be written to ({error.strerror})") from None
    os.close(handle)
    aside, size_bytes = Path(name), 0
    try:
        write(whole, aside, form)
        differences = compare(whole, aside, form, [*trial_frames(), *frames])
        worst = max(differences.values())
        if not worst <= TOLERANCE:
            raise RvsenseError(
                f"{out} was not kept: its answers differ by {worst:.1e} from the model's, and "
                f"{TOLERANCE:g} is allowed"
            )
        atomic.sync_file(aside)
        aside.chmod(0o666 & ~_umask())
        size_bytes = aside.stat().st_size
        aside.replace(out)
    except (OSError, SafetensorError) as error:  # the second is how a full disk is reported
        raise RvsenseError(f"{out} cannot be written ({error})") from None
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return {
        "out": str(out),
        "format": form,
        "bytes": size_bytes,
        "model": whole.model.published.id,
        "outputs": list(whole.outputs),
        "max_difference": worst,
        "differences": differences,
        "frames": len(trial_frames()) + len(frames),
        "own_frames": len(frames),
    }


def write(whole: Whole, path: Path, form: str) -> None:
    """Write the file, unchecked."""
    if form == "onnx":
        from rvsense.models import onnx_file

        onnx_file.write(whole, path, facts(whole))
        return
    recipe = Recipe(whole)
    save_file(recipe.tensors, path, facts(whole) | {"program": json.dumps(recipe.steps)})


def compare(whole: Whole, path: Path, form: str, frames: Sequence[Heatmaps]) -> dict[str, float]:
    """The largest difference of each output between a written file and the model itself.

    Frames with as many chirps go through in one batch.
    """
    written = _read(path, form)
    worst = dict.fromkeys(whole.outputs, 0.0)
    for chirps in sorted({len(frame) for frame in frames}):
        batch = np.stack([frame for frame in frames if len(frame) == chirps])
        wanted, found = whole.reference(batch), written(batch)
        for name in whole.outputs:
            worst[name] = max(worst[name], difference(found[name], wanted[name]))
    return worst


def difference(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """The largest |found - wanted| / max(1, |wanted|); infinite where only one is finite."""
    if found.shape != wanted.shape or not np.array_equal(np.isfinite(found), np.isfinite(wanted)):
        return float("inf")
    finite = np.isfinite(wanted)
    apart = np.abs(found[finite].astype(float) - wanted[finite])
    return float((apart / np.maximum(1, np.abs(wanted[finite]))).max(initial=0.0))


def facts(whole: Whole) -> dict[str, str]:
    """What travels in the file: plain text, lists and maps as JSON."""
    published, head = whole.model.published, whole.model.head
    manifest = published.manifest
    told = {
        "made_by": f"rvsense {__version__}",
        "model": published.id,
        "sha256": published.sha256,
        "step": str(published.step),
        "classes": json.dumps(CLASSES if head is not None else []),
        "input": f"{INPUT}: float32 (n, chirps, 128, 128, 2), any n; row 0 nearest, column 0 at "
        "-90 degrees, the last axis real and imaginary part; 1 to 255 chirps",
        "outputs": json.dumps(whole.outputs),
        "preprocessing": "part of the model: nothing to be done before",
        "calibration": "part of the model: probabilities are calibrated",
        "ood": "the daemon answers out_of_distribution where it is not finite, and above its "
        f"serving.max_ood_score, {Serving().max_ood_score} unless set",
        "encoder": json.dumps(manifest["encoder"]),
        "preset": str(manifest.get("preset")),
    }
    if head is not None:
        told |= {
            "temperature": repr(head.temperature),
            "accuracy": json.dumps(head.accuracy),
            "calibration_error": json.dumps(head.ece),
            "labels": json.dumps(head.labels),
        }
    return told


def lines(report: Mapping[str, Any]) -> list[str]:
    """The report for a terminal."""
    apart = ", ".join(f"{name} {worst:.1e}" for name, worst in report["differences"].items())
    return [
        f"{report['out']}: {report['model']} as {report['format']}, {size(report['bytes'])}",
        f"read again and compared on {report['frames']} frames, {report['own_frames']} of them "
        f"your own: at most {report['max_difference']:.1e} apart ({TOLERANCE:g} allowed)",
        f"by output: {apart}",
    ]


def _umask() -> int:
    """Which permissions new files do not get; it can be asked for by setting it only."""
    os.umask(mask := os.umask(0o077))
    return mask


def _read(path: Path, form: str) -> Any:
    if form == "onnx":
        from rvsense.models.onnx_file import Session

        return Session(path)
    try:
        program = Program(str(path))
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path}: not as it was written ({error!r})") from None

    def run(batch: Heatmaps) -> dict[str, Heatmaps]:
        return {name: value.numpy() for name, value in program(torch.from_numpy(batch)).items()}

    return run
