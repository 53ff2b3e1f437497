"""What the routes of HTTP are asked and what they answer. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True)
class Response:
    """What a route answers."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """What a route may look at; of a query key that is given twice the last counts."""

    accept: str = "*/*"
    query: Mapping[str, str] = field(default_factory=dict)


Route = Callable[[Request], Response]
"""Makes the answer to one path, in a thread of its own."""


def json_line(value: Any, indent: int | None = None) -> str:
    """A value as JSON text; NaN and infinity, which JSON has not, become null."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
        return json.dumps(finite, indent=indent)


def json_response(value: Any, status: int = HTTPStatus.OK) -> Response:
    """A page of JSON."""
    return Response(json_line(value, 2).encode() + b"\n", "application/json", status)
