"""One way to use a device, whichever it is: numbers that repeat, copies to it, a lane for serving.

What a CPU needs of this is nothing, and costs nothing there. On CUDA:

- float32 means float32, in convolutions too, which PyTorch computes in TF32 unless told not to
  (10 bits of mantissa): the same model gives the same answers on both devices. What is to be
  faster and shorter says so: `learning.precision`.
- Copies go through page-locked buffers that are kept, since page-locking memory anew costs more
  than it saves, and do not wait for the device.
- Serving has a stream of high priority. The learner is another process: the device switches
  between the two in time slices whatever their streams (they run side by side, and priorities
  count between them, only under NVIDIA's MPS). What the stream is for is the daemon's own process:
  an answer does not queue behind the exam of the next model or the graph captured of it.
"""

import os
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor


class Stage(Protocol):
    """Takes tensors from the host to a device."""

    def __call__(self, name: str, host: Tensor) -> Tensor:
        """The (…) tensor with the same values on the device.

        What is enqueued after it sees all of them. Tensors of one name share a buffer.
        """


def settle(device: torch.device) -> None:
    """Make the arithmetic on this device exact in its type, and the same on every run.

    Belongs to a whole process, as its number of threads does. To be called before the first
    tensor is on the device.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False  # it would choose algorithms by the clock
        torch.backends.cudnn.deterministic = True
        # What cuBLAS needs to repeat itself to the bit; it is read when its first handle is made.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def stage_to(device: torch.device) -> Stage:
    """What takes tensors to this device; on a CPU they are there already."""
    return PinnedStage(device) if device.type == "cuda" else _stay


def serving_lane(device: torch.device) -> AbstractContextManager[object]:
    """What the thread that answers works in; others stay out of it."""
    if device.type == "cuda":
        return torch.cuda.stream(torch.cuda.Stream(device, priority=-1))  # type: ignore[no-untyped-call]
    return nullcontext()


class PinnedStage:
    """Page-locked buffers, one for each name, grown as needed and kept; for any thread."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._slots: dict[str, _Slot] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str, host: Tensor) -> Tensor:
        """See `Stage`. The caller may change `host` at once; what is there already stays."""
        if host.device.type == self._device.type:
            return host
        with self._lock:
            slot = self._slots.setdefault(name, _Slot())
            slot.copied.synchronize()  # what is still being read must not be overwritten
            if len(slot.buffer) < host.nbytes:
                with torch.inference_mode(False):  # written to in either mode, later
                    slot.buffer = torch.empty(host.nbytes, dtype=torch.uint8, pin_memory=True)
            page_locked = slot.buffer[: host.nbytes].view(host.dtype).view(host.shape)
            page_locked.copy_(host)
            there = page_locked.to(self._device, non_blocking=True)
            slot.copied.record(torch.cuda.current_stream(self._device))
            return there


class _Slot:
    """A buffer, and the end of the last copy out of it."""

    def __init__(self) -> None:
        self.buffer = torch.empty(0, dtype=torch.uint8)
        self.copied = torch.cuda.Event()  # type: ignore[no-untyped-call]


def _stay(name: str, host: Tensor) -> Tensor:  # noqa: ARG001
    return host
