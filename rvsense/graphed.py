"""A pass of one fixed size as a CUDA graph: one launch in place of one for each layer.

At batch 1 the layers of a small network take the device less time than their launches take the
host, so the pass is recorded once and then replayed. Which passes are recorded is decided by the
type of the device and the size of the batch alone, never by whether it worked: a graph that
cannot be captured is an error of the model that was being loaded. The daemon refuses that model
(`damaged`, with what CUDA said) and the one before it goes on serving; were every batch then
launched layer by layer instead, a slow daemon would be all that anybody ever saw of it.

Rules:
1. Capture looks at its own thread alone (`thread_local`): the loader's thread captures while
   another answers frames, and allocates for them.
2. Input and output of the graph are fixed places in memory. Who uses them waits, on the device
   and not on the host, for whoever used them before, whatever streams the two are on.
3. Convolutions belong into a graph; products by cuBLAS do not: graphs captured by one thread
   share its workspace, and the serving model's and the next one's run side by side.
"""

import threading
from collections.abc import Callable

import torch
from torch import Tensor

from rvsense.errors import ModelError

Pass = Callable[[Tensor], Tensor]
WARM_UPS = 3
"""Passes before the capture: libraries choose algorithms and take workspaces in the first."""


def serving_pass(eager: Pass, example: Tensor) -> Pass:
    """`eager` for any batch; on CUDA, what has the shape of `example` is replayed.

    Args:
        eager: a network without gradients, in eval mode, that stays as it is.
        example: (1, …) float32 input on the device.

    Raises:
        ModelError: when the pass cannot be captured.
    """
    return Graphed(eager, example) if example.device.type == "cuda" else eager


class Graphed:
    """A captured pass and its fixed input and output; for any thread.

    Raises:
        ModelError: when the pass cannot be captured.
    """

    @torch.inference_mode()
    def __init__(self, eager: Pass, example: Tensor) -> None:
        self._eager = eager
        self._input = example.clone()
        self._graph = torch.cuda.CUDAGraph()
        self._free = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._lock = threading.Lock()
        try:
            self._output = self._capture()
        except RuntimeError as error:
            raise ModelError(
                f"the serving pass cannot be captured on {example.device} ({error}); "
                "serving.device = cpu serves without"
            ) from error

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        """What `eager` gives; the result is the caller's own."""
        if x.shape != self._input.shape:
            return self._eager(x)
        with self._lock:
            stream = torch.cuda.current_stream(x.device)
            self._free.wait(stream)
            self._input.copy_(x)
            self._graph.replay()
            result = self._output.clone()
            self._free.record(stream)
        return result

    def _capture(self) -> Tensor:
        device = self._input.device
        with torch.cuda.device(device):
            own = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            own.wait_stream(torch.cuda.current_stream(device))
            with torch.cuda.stream(own):
                for _ in range(WARM_UPS):
                    self._eager(self._input)
            with torch.cuda.graph(self._graph, stream=own, capture_error_mode="thread_local"):
                output = self._eager(self._input)
            torch.cuda.current_stream(device).wait_stream(own)
        return output
