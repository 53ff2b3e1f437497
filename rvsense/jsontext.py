"""Reading JSON that may be damaged, or made to do harm: what is wrong is a ValueError."""

import json
from typing import Any


def parse(text: str | bytes) -> Any:
    """The value that a text holds.

    Raises:
        ValueError: it is no JSON, no text, or nested too deep for anybody to read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
