"""The same input and seed give the same weights, to the bit."""

import torch


def be_reproducible(*, warn_only: bool = False) -> None:
    """Let torch take only deterministic kernels in this process; `warn_only` where it has none."""
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    # Torch would also fill all new memory, lest somebody read what is not written yet. Nobody
    # here does, and it took a twentieth of a training step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
