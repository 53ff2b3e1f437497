"""Small files beside the large ones: keys, and frames of the exam."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from rvsense import curve, keyring
from rvsense.daemon.exam_store import ExamStore, encode
from rvsense.errors import ConfigError, UsageError
from tests.conftest import heatmap
from tests.fuzz import golden, grammar
from tests.fuzz.drive import BrokenError, Case
from tests.fuzz.files import Kind, trap
from tests.fuzz.files.models import NUMBERS
from tests.fuzz.mutate import mutated

SHAPES: tuple[Any, ...] = (
    *([1, 128, 128, 2], [-1, 128, 128, 2], [2**70, 1], [0, 128, 128, 2], [4, 128, 128, 2], []),
    *([128, 128, 2], "x", 32_768, [1.0, 128, 128, 2], [[1]], None, [2, 64, 128, 2]),
)
DTYPES = ("<f4", "<f2", "|O", "O", ">f4", "<f8", "(", "<U4", 7, None, [("a", "<f4")], "<f4,<f4")


def kinds(work: Path) -> list[Kind]:
    """Folders of keys, and the folder of the exam."""
    return [
        Kind("keys", _keys, _allowed(work / "keys"), 0.06),
        Kind("exam", _exam(trap(work.parent)), _kept(work / "exam"), 0.06),
    ]


def _keys(rng: Random) -> Case:
    pair = curve.new_pair()
    key = rng.choice((pair.public, pair.secret, b"#" * 40, b"\xff" * 40, b"0" * 40, b""))
    how = rng.choice(("bytes", "forms", "names"))
    if how == "bytes":
        key = mutated(key or b"x", rng)
    elif how == "forms":
        key = (
            rng.choice((b"\n", b" ", b"\0", b"\xef\xbb\xbf")) + key + rng.choice((b"\n", b"\r\n#"))
        )
    name = grammar.text(rng) if how == "names" else "north"
    return Case(how, [key, name.encode("utf-8", "replace"), rng.choice((b"0600", b"0644"))])


def _allowed(folder: Path) -> Callable[[Case], str]:
    def read(case: Case) -> str:
        shutil.rmtree(folder, ignore_errors=True)
        keyring.new_server(folder)
        key, name, mode = case.parts
        word = name.decode().replace("/", "_").replace("\0", "_")[:60] or "_"
        (folder / "devices" / f"{word}.pub").write_bytes(key)
        secret = folder / curve.CLIENT_SECRET
        secret.write_bytes(key)
        secret.chmod(int(mode, 8))
        found = []
        for reader in (keyring.allowed, lambda at: curve.client_keys(at, {}), keyring.server_pair):
            try:
                found.append(reader(folder))
            except ConfigError as error:
                told = len(key) > 30 and key.decode("latin-1") in str(error)
                if told or str(folder) not in str(error):
                    raise BrokenError("an error that names no file, or tells a key") from error
        try:
            keyring.new_client(folder, "device", name.decode())
        except (ConfigError, UsageError):
            return f"{len(found)} of 3 readable, name refused"
        strays = [path for path in folder.parent.iterdir() if path != folder]
        if [path for path in strays if path.name not in ("exam", "keys")]:
            raise BrokenError(f"keys outside the folder: {strays}")
        return f"{len(found)} of 3 readable"

    return read


def _exam(bomb: bytes) -> Callable[[Random], Case]:
    whole = encode((heatmap(), "car"))

    def make(rng: Random) -> Case:
        how = rng.choice(("bytes", "facts", "facts", "pickle", "names"))
        if how == "bytes":
            return Case(how, [mutated(whole, rng), b"00000001"])
        name = grammar.text(rng) if how == "names" else "00000001"
        payload = bomb if how == "pickle" else golden.heatmap(1)
        facts: Any = {"label": "car", "dtype": "<f4", "shape": [1, 128, 128, 2]}
        if how == "facts":
            key = rng.choice(list(facts))
            facts[key] = rng.choice((*SHAPES, *DTYPES, *NUMBERS, grammar.text(rng)))
        elif how == "pickle":
            facts["dtype"] = rng.choice(("|O", "O", "<f4"))
        facts = facts if rng.random() < 0.9 else rng.choice(([1], "x", 7, None))
        return Case(how, [_signed(facts, payload), name.encode("utf-8", "replace")])

    return make


def _signed(facts: Any, payload: bytes) -> bytes:
    if isinstance(facts, dict):
        text = json.dumps(facts, sort_keys=True)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass") + payload).hexdigest()
        facts = {"sha256": digest} | facts
    return json.dumps(facts).encode() + b"\n" + payload


def _kept(folder: Path) -> Callable[[Case], str]:
    def read(case: Case) -> str:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        name = case.parts[1].decode().replace("/", "_").replace("\0", "_")[:60] or "_"
        (folder / f"{name}.frame").write_bytes(case.parts[0])
        kept = ExamStore(folder).load()
        for values, label in kept.values():
            if values.shape[1:] != (128, 128, 2) or label not in ("car", "empty", "cyclist"):
                raise BrokenError(f"{values.shape} {label!r:.40}")
        return "kept" if kept else "set aside"

    return read
