"""What befalls a checkpoint: bits that flip, and a disk that fails after some calls."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def damage_tensors(path: Path) -> None:
    """Flip one bit in the middle."""
    target = path / "tensors.safetensors"
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)


class FailingDisk:
    """Lets `allowed` calls of a function through, then raises."""

    def __init__(self, function: Callable[..., Any], allowed: int) -> None:
        self.function, self.left = function, allowed

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The call, or a full disk."""
        self.left -= 1
        if self.left < 0:
            raise OSError(28, "No space left on device")
        return self.function(*arguments, **named)
