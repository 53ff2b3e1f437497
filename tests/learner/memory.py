"""Memory that runs out at a moment of the test's choosing."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

CUDA_SAYS = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has no more"
CPU_SAYS = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"
)


class RunsOut(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The n-th operation that needs memory for a new tensor does not get it; later ones do.

    Views, and what works in place, need none. `struck`: that an operation failed.
    """

    def __init__(self, n: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.left = n
        self.error = error

    @property
    def struck(self) -> bool:
        """Whether there was an n-th one."""
        return self.left <= 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The operation, or the error."""
        if any(_is_new(item) for item in func._schema.returns):
            self.left -= 1
            if self.left == 0:
                raise self.error(CPU_SAYS if self.error is RuntimeError else CUDA_SAYS)
        return func(*args, **kwargs or {})


def _is_new(item: Any) -> bool:
    return "Tensor" in str(item.type) and item.alias_info is None
