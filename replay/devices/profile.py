"""A radar's profile: a TOML file whose keys are the fields of `Board`, `[control]` last."""

import tomllib
from collections.abc import Mapping
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

from rvsense.errors import ConfigError
from rvsense.replay.devices.board import Board, Control


def read_board(path: Path) -> Board:
    """The board that a TOML file describes.

    Raises:
        ConfigError: the file cannot be read, or describes a radar that the chain cannot serve.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"radar profile {path}: {error}") from None
    try:
        control = table.pop("control", None)
        if control is not None:
            control = Control(**_typed(control, Control, "[control]"))
        return Board(**_typed(table, Board, "the profile"), control=control)
    except ConfigError as error:
        raise ConfigError(f"radar profile {path}: {error}") from None


_KINDS: dict[Any, tuple[type, ...]] = {
    float: (float, int),
    int: (int,),
    str: (str,),
    bool: (bool,),
    str | None: (str,),
    tuple[int, ...]: (list,),
}


def _typed(table: Any, cls: type, where: str) -> dict[str, Any]:
    """Values of a TOML table as the fields of a dataclass."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is {table!r}; a table expected")
    wanted = {f.name: f.type for f in fields_of(cls) if f.name != "control"}
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in wanted:
            raise ConfigError(f"{where} has no {name!r}; known: {', '.join(wanted)}")
        values[name] = _read(name, value, _KINDS[wanted[name]])
    if cls is Control and "device" not in values:
        raise ConfigError("[control] needs device, xwr's name of the board: AWR1843L, AWR1642")
    return values


def _read(name: str, value: Any, kinds: tuple[type, ...]) -> Any:
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ConfigError(f"{name} is {value!r}; {kinds[0].__name__} expected")
    if not isinstance(value, list):
        return value
    if not all(type(item) is int for item in value):
        raise ConfigError(f"{name} is {value!r}; whole numbers expected")
    return tuple(value)
