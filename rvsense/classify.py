"""`rvsense classify FILE.npy …`: answer for stored heatmaps with the current model."""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rvsense import current
from rvsense.config import Serving
from rvsense.errors import FrameError, ModelError, UsageError
from rvsense.grids import CELLS
from rvsense.model import ServableModel
from rvsense.policy import abstention
from rvsense.published import open_model
from rvsense.results import model_name

CHIRP_FILE = re.compile(r"(?P<frame>\d{6})_(?P<chirp>\d{4})\.npy")


def classify_files(files: list[Path], state_dir: Path, model_path: Path | None) -> int:
    """Print one JSON line per heatmap; returns 1 when some file could not be read, else 0.

    ROD2021's chirp files of one frame (`000012_0000.npy`, `000012_0064.npy`, …) make one
    heatmap together. Answers are withheld as a daemon with the default thresholds does.
    """
    torch.set_num_threads(1)
    model = _load(state_dir, model_path)
    name, thresholds = model_name(model.published).as_map(), Serving()
    failed = 0
    for group in group_chirps(files):
        line: dict[str, Any] = {"files": [str(path) for path in group]}
        try:
            answer = model.classify([read_heatmap(group)])[0]
        except FrameError as error:
            failed += 1
            print(f"rvsense: {error}", file=sys.stderr)
            continue
        withheld = abstention(answer, thresholds)
        line |= {"label": None if withheld else answer.label, "probs": answer.probs}
        line |= {"abstain": withheld, "ood_score": answer.ood_score}
        line |= {"model": name, "radio_only": True}
        print(json.dumps(line), flush=True)
    return 1 if failed else 0


def group_chirps(files: Iterable[Path]) -> list[list[Path]]:
    """Files that are chirps of one frame together, each other file alone, in the given order.

    A file that is named twice counts once.
    """
    groups: dict[tuple[Path, str], set[Path]] = {}
    for path in files:
        match = CHIRP_FILE.fullmatch(path.name)
        groups.setdefault((path.parent, match["frame"] if match else path.name), set()).add(path)
    return [sorted(group) for group in groups.values()]


def read_heatmap(group: list[Path]) -> NDArray[np.float32]:
    """(chirps, 128, 128, 2) from one file per chirp, or from one file that holds them all.

    Raises:
        FrameError: naming the file and what is wrong with it.
    """
    chirps = [_read(path) for path in group]
    heatmap: NDArray[np.float32] = np.concatenate(
        [chirp if chirp.ndim == 4 else chirp[None] for chirp in chirps]
    )
    if not np.isfinite(heatmap).all():
        raise FrameError("not_finite", f"{group[0]} holds NaN or infinity")
    return heatmap


def _read(path: Path) -> NDArray[np.float32]:
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise FrameError("unreadable", f"{path}: {error.strerror or error}") from None
    except Exception:  # whatever NumPy's tokenizer raises, or advice to unpickle
        detail = f"{path}: cut off, or no npy file of plain numbers"
        raise FrameError("unreadable", detail) from None
    if not isinstance(array, np.ndarray):
        raise FrameError("unreadable", f"{path}: an archive; one array in npy form expected")
    wanted = (CELLS, CELLS, 2)
    right = array.shape[-3:] == wanted and array.ndim in (3, 4) and len(array) > 0
    if not right or array.dtype.kind != "f":
        forms = f"{wanted} or (chirps, {str(wanted)[1:]}"
        detail = f"{path}: {array.dtype} {array.shape}; floats of shape {forms} expected"
        raise FrameError("bad_shape", detail)
    with np.errstate(over="ignore"):  # what float32 cannot hold is found to be infinite
        heatmap: NDArray[np.float32] = array.astype(np.float32)
    return heatmap


def _load(state_dir: Path, model_path: Path | None) -> ServableModel:
    device = torch.device("cpu")
    if model_path is not None:
        return ServableModel(open_model(model_path), device)
    for path in current.candidates(state_dir):
        try:
            return ServableModel(open_model(path), device)
        except ModelError as error:
            print(f"rvsense: {error}; trying the one before", file=sys.stderr)
    raise UsageError(
        f"no model in {state_dir / 'models'}; train one with `rvsense daemon --replay DIR`, "
        "or name one with --state-dir or --model"
    )
