"""The state of all that a learner draws from: its own generator, and torch's for dropout."""

from collections.abc import Mapping

import torch
from torch import Tensor


def state_of(generator: torch.Generator, device: torch.device) -> dict[str, Tensor]:
    """As it stands, of the process and of this device."""
    states = {"generator": generator.get_state(), "torch": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore(generator: torch.Generator, device: torch.device, states: Mapping[str, Tensor]) -> None:
    """Go on from there; one of another kind of device leaves this one's as it is."""
    generator.set_state(states["generator"])
    torch.set_rng_state(states["torch"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
