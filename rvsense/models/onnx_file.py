"""A whole model as one ONNX file, and running it again. Needs the extra `export`."""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rvsense.errors import UsageError
from rvsense.models.whole import INPUT, Whole

OPSET = 18
MOST_CHIRPS = 255


def write(whole: Whole, path: Path, facts: Mapping[str, str]) -> None:
    """Write the file; numbers of heatmaps and of chirps stay open.

    Raises:
        UsageError: the extra is not installed.
    """
    hypot = _hypot()
    example = torch.zeros(2, 4, 128, 128, 2)
    whole.eval()
    with torch.no_grad():
        whole(example)  # what is made once and kept must be real numbers, not traced ones
    size = {0: torch.export.Dim("n"), 1: torch.export.Dim("chirps", max=MOST_CHIRPS)}
    log = logging.getLogger("torch.onnx")
    level = log.level
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's own parts, none of our doing
        log.setLevel(logging.ERROR)
        try:
            made = torch.onnx.export(
                whole,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=(size,),
                input_names=[INPUT],
                output_names=list(whole.outputs),
                custom_translation_table={torch.ops.aten.hypot.default: hypot},
                verbose=False,
            )
        finally:
            log.setLevel(level)
    assert made is not None
    made.model.metadata_props.update(facts)
    made.save(str(path), external_data=False)


class Session:
    """A written file, run by ONNX Runtime on the CPU."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session: Any = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    @property
    def facts(self) -> dict[str, str]:
        """The metadata."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, heatmaps: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """(n, chirps, 128, 128, 2) heatmaps to the outputs by name."""
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, {INPUT: heatmaps}), strict=True))


def _hypot() -> Any:
    """What ONNX has no operator for: √(a² + b²) where the squares may overflow."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        from onnxscript import opset18 as op
    except ImportError as error:
        raise UsageError(
            f"export to ONNX needs {error.name}, which is not installed: "
            "pip install 'rvsense[export]', or use --format safetensors"
        ) from None

    def hypot(a: Any, b: Any) -> Any:
        a, b = op.Abs(a), op.Abs(b)
        most = op.Max(a, b)
        share = op.Div(op.Min(a, b), op.Max(most, op.Constant(value_float=1e-30)))
        return op.Mul(most, op.Sqrt(op.Add(op.Mul(share, share), op.Constant(value_float=1.0))))

    return hypot
