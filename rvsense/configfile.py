"""Configuration files: TOML to Config and back, refusing what cannot work.

The dataclasses of rvsense.config say what exists and what is allowed; this file only reads
them off. Every problem of a file is found before any is reported.
"""

import difflib
import json
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from rvsense import addresses
from rvsense.config import Config
from rvsense.errors import ConfigError

FLAGS = "command line"
_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Slot:
    """One setting: its dotted key, type, documentation and what it may hold."""

    key: str
    kind: type
    optional: bool
    doc: str
    low: float | None
    high: float | None
    choices: tuple[str, ...] | None

    @property
    def allowed(self) -> str:
        """What the setting may hold, in words."""
        if self.choices:
            words = [choice or "empty" for choice in self.choices]
            return f"{', '.join(words[:-1])} or {words[-1]}"
        if self.key.startswith("endpoints."):
            is_http = self.key == "endpoints.http"
            return addresses.HOST_PORT_FORM if is_http else addresses.ENDPOINT_FORM
        if self.key == "learner":
            return f"empty, or {addresses.PEER_FORM}"
        if self.kind is bool:
            return "true or false"
        if self.kind is str:
            return "text without control characters"
        number = "a whole number" if self.kind is int else "a number"
        number += "" if self.low is None else f" from {self.low}"
        number += "" if self.high is None else f" to {self.high}"
        return f"auto or {number}" if self.optional else number

    def read(self, value: object) -> Any:
        """`value` as this setting holds it.

        Raises:
            ValueError: when it may not hold it.
        """
        if self.optional and value in ("auto", None):
            return None
        if self.kind is float and type(value) is int and abs(value) <= _INT64_MAX:
            value = float(value)
        if type(value) is not self.kind or not self._in_range(value):
            huge = type(value) is int and abs(value) > _INT64_MAX
            raise ValueError(self.allowed + (", below 2**63" if huge else ""))
        return value

    def _in_range(self, value: Any) -> bool:
        if self.kind is str:
            return self._is_text(value)
        return (
            -_INT64_MAX <= value <= _INT64_MAX
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
        )  # NaN fails the first comparison

    def _is_text(self, value: str) -> bool:
        if self.choices:
            return value in self.choices
        if self.key == "endpoints.http":
            try:
                return bool(addresses.split_host_port(value))
            except ValueError:
                return False
        if self.key.startswith("endpoints."):
            return addresses.is_endpoint(value)
        if self.key == "learner" and value:
            return addresses.is_peer(value)
        # A path or a name: a control character in it is an accident, and TOML cannot show it.
        return all(ord(char) >= 32 and ord(char) != 127 for char in value)


def slots(kind: type[Any] = Config, prefix: str = "") -> dict[str, Slot]:
    """Every setting by its dotted key, in the order of the dataclasses."""
    found: dict[str, Slot] = {}
    hints: dict[str, Any] = get_type_hints(kind)
    for item in fields(kind):
        hint, key = hints[item.name], prefix + item.name
        if is_dataclass(hint):
            found |= slots(hints[item.name], key + ".")
        else:
            optional = hint == float | None
            found[key] = Slot(key, float if optional else hint, optional, **item.metadata)
    return found


def flatten(config: Config) -> dict[str, Any]:
    """The values of a configuration by dotted key: compare two to see what a reload changes."""
    return {key: _value_of(config, key) for key in slots()}


def load(path: Path | None, overrides: Mapping[str, object]) -> Config:
    """The defaults, changed by the file at `path`, changed by `overrides` (dotted keys).

    Raises:
        ConfigError: naming the file and, for every problem, the key, the value and what is
            allowed.
    """
    known = slots()
    values = {key: _value_of(Config(), key) for key in known}
    problems: list[str] = []
    bad: set[str] = set()
    given = _given_in_file(path, known, problems) if path is not None else []
    given += [(FLAGS, key, value) for key, value in overrides.items()]
    for source, key, value in given:
        slot = known.get(key)
        if slot is None:
            problems.append(f"{source}: unknown key {_name(key)}{_hint(key, known)}")
            continue
        try:
            values[key] = slot.read(value)
        except ValueError as error:
            bad.add(key)
            problems.append(f"{source}: {key} is {_show(value)}; allowed: {error}")
    where = {key: source for source, key, _ in given}
    for keys, message in _conflicts(values):
        if not bad.intersection(keys):
            source = next(where[key] for key in reversed(keys) if key in where)
            problems.append(f"{source}: {message}")
    if problems:
        raise ConfigError("\n".join(problems))
    config: Config = _build(Config, values)
    return config


def render(config: Config) -> str:
    """The whole configuration as TOML, each key under a comment; loads back to an equal one."""
    lines = [
        "# rvsense: every setting, its documentation and what is allowed. All may be left out."
    ]
    section = ""
    for key, slot in slots().items():
        table, _, name = key.rpartition(".")
        if table != section:
            section = table
            lines += ["", f"[{table}]"]
        note = slot.doc if slot.allowed in slot.doc else f"{slot.doc} Allowed: {slot.allowed}."
        lines += ["", *(f"# {line}" for line in textwrap.wrap(note, 96))]
        lines.append(f"{name} = {_toml(_value_of(config, key))}")
    return "\n".join(lines) + "\n"


def _given_in_file(
    path: Path, known: Mapping[str, Slot], problems: list[str]
) -> list[tuple[str, str, object]]:
    """(source, dotted key, value) of what a file sets; its misplaced tables go to `problems`."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{path}: cannot be read ({reason}); give another --config") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    except ValueError as error:  # a number of thousands of digits is no TOMLDecodeError
        raise ConfigError(f"{path}: is not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deep") from None
    tables = {key.partition(".")[0] for key in known if "." in key}
    given: list[tuple[str, str, object]] = []
    for name, value in tree.items():
        if name in tables and not isinstance(value, dict):
            problems.append(f"{path}: {name} is {_show(value)}; allowed: a table [{name}]")
        elif name in tables:
            given += [(str(path), f"{name}.{key}", inner) for key, inner in value.items()]
        elif isinstance(value, dict) and name not in known:
            problems.append(f"{path}: unknown table [{_name(name)}]{_hint(name, tables)}")
        else:
            given.append((str(path), name, value))
    return given


def _hint(key: str, known: Mapping[str, Slot] | set[str]) -> str:
    """A likely spelling: the whole key, or its last part where it stands in a wrong table."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    if not near:
        leaf = {item.rpartition(".")[2]: item for item in known}
        names = difflib.get_close_matches(key.rpartition(".")[2], leaf, n=1, cutoff=0.75)
        near = [leaf[name] for name in names]
    return f"; did you mean {near[0]}?" if near else "; --print-config lists every key"


def _conflicts(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Settings that are allowed alone and impossible together: (keys, message)."""
    for small, large, why in (
        ("learning.batch", "learning.pool_pairs", "a batch is drawn from the pool"),
        ("learning.min_pool_pairs", "learning.pool_pairs", "the pool never fills so far"),
        ("pairing.lateness_s", "pairing.idle_timeout_s", "a late stream would count as silent"),
        ("learning.detector_doubt", "learning.detector_sure", "nothing would be doubtful"),
    ):
        if values[small] > values[large]:
            yield (
                (small, large),
                f"{small} is {values[small]} and {large} is {values[large]}; "
                f"allowed: {small} up to {large} ({why})",
            )
    warmup, total = values["learning.warmup_steps"], values["learning.total_steps"]
    if 0 < total < warmup:
        keys = ("learning.warmup_steps", "learning.total_steps")
        yield keys, f"{keys[0]} is {warmup}; allowed: up to {keys[1]} ({total})"
    for idle, needed in (
        ("learning.whiten_keys", "learning.short_keys"),
        ("learning.mask_rows", "learning.augment"),
        ("learning.mask_columns", "learning.augment"),
    ):
        if values[idle] and not values[needed]:
            state = f"{_show(values[idle])} does nothing while {needed} is {_show(values[needed])}"
            yield (idle, needed), f"{idle} = {state}; change one of the two"
    if values["learning.intra_modal"] and not values["learning.augment"]:
        pair = ("learning.intra_modal", "learning.augment")
        yield pair, f"{pair[0]} is above 0: two views of a heatmap need {pair[1]} = true"
    policy = values["learning.pool_policy"]
    if values["learning.collate"] == "balance" and policy != "reservoir":
        pair = ("learning.collate", "learning.pool_policy")
        yield (
            pair,
            f"{pair[0]} is balance and {pair[1]} is {policy}; allowed: {pair[1]} = reservoir, "
            "which balance divides among the classes",
        )
    yield from _exposed(values)
    taken: dict[str, str] = {}
    for key in (key for key in values if key.startswith("endpoints.")):
        try:
            port = addresses.fixed_port(values[key])
        except ValueError:
            continue  # reported already, as a value of its own
        if port is not None and (other := taken.setdefault(port, key)) != key:
            yield (other, key), f"{key} is {_show(values[key])}, as {other}; give each its own port"


def _exposed(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Endpoints within reach of other machines that nothing protects."""
    if values["access.insecure"]:
        return
    for key in ("endpoints.intake", "endpoints.results", "endpoints.requests", "endpoints.http"):
        is_http = key == "endpoints.http"
        if addresses.is_local(values[key]) or (values["access.keys"] and not is_http):
            continue
        safe = "HTTP has no keys: put a proxy in front" if is_http else "give --keys (rvsense keys)"
        yield (
            (key, "access.insecure"),
            f"{key} is {_show(values[key])}: other machines reach it, and anybody there may use "
            f"it; {safe}, or take the risk with --insecure (access.insecure)",
        )


def _value_of(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _build(kind: type[Any], values: Mapping[str, Any], prefix: str = "") -> Any:
    hints = get_type_hints(kind)
    return kind(
        **{
            name: _build(hint, values, f"{prefix}{name}.")
            if is_dataclass(hint) and isinstance(hint, type)
            else values[prefix + name]
            for name, hint in hints.items()
        }
    )


def _toml(value: object) -> str:
    """A value as TOML writes it."""
    if value is None:
        return '"auto"'
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _name(key: str) -> str:
    """A key that we do not know, for a message: on one line, and short."""
    text = key if key.isprintable() else json.dumps(key)
    return text if len(text) <= 80 else text[:77] + "..."


def _show(value: object) -> str:
    """A value for a message: nearly as TOML writes it, and short."""
    try:
        text = _toml(value)
    except ValueError:  # hexadecimal numbers may be of any length, and no text is made of those
        text = "a number of very many digits"
    if isinstance(value, str) and not text.isprintable():
        text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
