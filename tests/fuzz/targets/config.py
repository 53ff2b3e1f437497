"""The TOML file: a configuration within its bounds, or an error that names what is wrong."""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from random import Random

from rvsense import configfile
from rvsense.config import Config
from rvsense.errors import ConfigError
from tests.chaos.report import Report
from tests.fuzz import grammar
from tests.fuzz.drive import BrokenError, Case, drive
from tests.fuzz.mutate import mutated

NAME = "config"
HELP = "TOML files: a configuration within bounds, or an error that names the file and the keys"
MESSAGES, QUICK = 40_000, 500

WHOLE = configfile.render(Config())
SLOTS = configfile.slots()
TABLES = sorted({key.partition(".")[0] for key in SLOTS if "." in key})
ODD = (
    *("nan", "-nan", "inf", "-inf", "1e400", "-0.0", "0x" + "f" * 5000, "9" * 5000, "1" * 20),
    *("0b" + "1" * 70, "1979-05-27T07:32:00Z", "07:32:00", "2024-13-45", "1_000", "1__0", "+5"),
    *("true", "false", "True", "null", "[]", "{}", "[[1]]", "[" * 3000, '"', "'''", '"\\u0000"'),
    *('"\\uD800"', '"' + "x" * 5000 + '"', "{a = {b = {c = 1}}}", "[" + "1," * 3000 + "]", "", "="),
    *('"auto"', '"tcp://*:5560"', '"ipc://" ', '"127.0.0.1:0"', '"\\n"', "{" + "a = {" * 500),
)
LONGEST = 1_000
"""Characters of a line; each names one thing that is wrong."""


def run(options: argparse.Namespace) -> Report:
    """Load file after file."""
    path = options.work / "rvsense.toml"
    return drive(options, NAME, file, loader(path)).report()


def file(rng: Random) -> Case:
    """A file, in one of the ways below."""
    how = rng.choice(("lines", "lines", "bytes", "values", "values", "nonsense"))
    if how == "bytes":
        text = mutated(WHOLE.encode(), rng, most=12)
    elif how == "lines":
        lines = WHOLE.splitlines()
        for _ in range(rng.choice((1, 2, 5))):
            lines[rng.randrange(len(lines))] = rng.choice((rng.choice(lines), _line(rng)))
        text = "\n".join(lines).encode("utf-8", "replace")
    elif how == "values":
        text = "\n".join(_line(rng) for _ in range(rng.choice((1, 3, 10)))).encode(
            "utf-8", "replace"
        )
    else:
        text = rng.choice((rng.randbytes(200), b"", b"\xff\xfe", b"[" * 100_000, b"a.b" * 3000))
    return Case(how, [text])


def _line(rng: Random) -> str:
    if rng.random() < 0.2:
        return rng.choice(("[{}]", "[[{}]]", "[{}.x]", "#{}")).format(rng.choice([*TABLES, "no"]))
    key = rng.choice(list(SLOTS)) if rng.random() < 0.8 else grammar.text(rng)
    name = key if rng.random() < 0.5 else json.dumps(key)
    return f"{name} = {_value(rng)}"


def _value(rng: Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(ODD)
    value = grammar.plain(rng)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, default=repr)


def loader(path: Path) -> Callable[[Case], str]:
    """Loads a case as the file at `path`."""

    def load(case: Case) -> str:
        path.write_bytes(case.parts[0])
        try:
            config = configfile.load(path, {})
        except ConfigError as error:
            lines = str(error).split("\n")
            named = all(str(path) in line and line.isprintable() for line in lines)
            if not named or max(map(len, lines)) > LONGEST:
                raise BrokenError("an error that names no file, is no text or too long") from error
            return "refused"
        for key, value in configfile.flatten(config).items():
            if SLOTS[key].read(value) != value:
                raise BrokenError(f"{key} = {value!r}")
        if configfile.load(_written(path, config), {}) != config:
            raise BrokenError("it is not the same when it is written and read")
        return "taken"

    return load


def _written(path: Path, config: Config) -> Path:
    path.write_text(configfile.render(config))
    return path
