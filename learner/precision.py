"""In which numbers the radar encoder is computed while it learns.

With bfloat16 convolutions and the products with the queue are taken in 16 bits; weights,
statistics of normalisation, the loss and the optimiser stay float32, and what is served is always
computed in float32. Processors without instructions for it emulate it, slowly.
"""

import torch

from rvsense.config import Learning


def precision_of(learning: Learning) -> torch.dtype:
    """The type that the settings ask for."""
    return torch.bfloat16 if learning.precision == "bfloat16" else torch.float32
