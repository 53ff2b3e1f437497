"""Model folders as a learner far away, or a disk gone wrong, may bring them."""

import hashlib
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch

from rvsense import atomic, current, published
from rvsense.errors import ModelError
from rvsense.model import ServableModel
from rvsense.models.listing import entries
from tests.conftest import publish_small
from tests.fuzz import grammar
from tests.fuzz.drive import BrokenError, Case
from tests.fuzz.files import Kind, trap
from tests.fuzz.mutate import mutated

CPU = torch.device("cpu")
FILES = (published.MANIFEST, published.WEIGHTS, published.HEAD)
NUMBERS: tuple[Any, ...] = (
    0,
    1,
    -1,
    2,
    3,
    10**6,
    2**40,
    2**64,
    1e400,
    float("nan"),
    0.5,
    True,
    None,
    "4",
    [4],
    {},
)
DTYPES = ("F32", "F16", "F64", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "U64", "C64", "X")


def kinds(work: Path) -> list[Kind]:
    """A model as it is loaded at a start, and the notes beside it."""
    return [
        Kind("model", _maker(work), _loaded(work / "state"), 0.12),
        Kind("note of what serves", _note, _noted(work / "notes"), 0.04),
    ]


def _maker(work: Path) -> Callable[[Random], Case]:
    small = publish_small(work / "small")
    whole = [(small.path / name).read_bytes() for name in FILES]
    bomb = trap(work.parent)

    def make(rng: Random) -> Case:
        how = rng.choice(("bytes", "manifest", "manifest", "spec", "tensors", "tensors", "names"))
        manifest, weights, head = whole
        values: dict[str, Any] = json.loads(manifest)
        if how == "manifest":
            values = dict(grammar.changed(values, rng))
        elif how == "spec":
            spec = values["encoder"] | {rng.choice(list(values["encoder"])): rng.choice(NUMBERS)}
            values |= {"encoder": rng.choice((spec, spec, grammar.plain(rng)))}
        elif how == "names":
            values["files"] = {grammar.text(rng): "0" * 64} | values["files"]
        elif how == "tensors":
            weights = changed_tensors(weights, rng) if rng.random() < 0.7 else weights
            head = changed_tensors(head, rng) if rng.random() < 0.7 else head
        if how != "bytes":
            weights = bomb if rng.random() < 0.05 else weights
            parts = [signed(values, weights, head), weights, head]
        else:
            at = rng.randrange(3)
            parts = list(whole)
            parts[at] = mutated(parts[at], rng)
        return Case(how, parts)

    return make


def signed(values: dict[Any, Any], weights: bytes, head: bytes) -> bytes:
    """The manifest with every digest as it should be, as far as there is one."""
    facts = {key: value for key, value in values.items() if isinstance(key, str)}
    try:
        facts = json.loads(json.dumps(facts, default=repr))
        if isinstance(facts.get("files"), dict):
            digests = {"weights.safetensors": _sha256(weights), "head.safetensors": _sha256(head)}
            facts["files"] |= {name: digests[name] for name in facts["files"].keys() & digests}
            facts["sha256"] = published._digest(facts["files"])
        facts["manifest_sha256"] = published._own_digest(facts)
        return published._text(facts).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, RecursionError):
        return b"{}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def changed_tensors(data: bytes, rng: Random) -> bytes:
    """A safetensors file whose header says something else."""
    size = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + size]), data[8 + size :]
    names = [name for name in header if name != "__metadata__"]
    for _ in range(rng.choice((1, 2))):
        name = rng.choice(names)
        match rng.randrange(6):
            case 0:
                header[name] = dict(header[name]) | {"dtype": rng.choice(DTYPES)}
            case 1:
                shape = [rng.choice((0, 1, 3, 2**31, 2**62)) for _ in range(rng.choice((1, 2, 4)))]
                header[name] = dict(header[name]) | {"shape": shape}
            case 2:
                ends = [rng.choice((0, 4, len(rest), 2**63)) for _ in range(2)]
                header[name] = dict(header[name]) | {"data_offsets": ends}
            case 3:
                header[grammar.text(rng)] = header.pop(name)
                names.remove(name)
            case 4:
                rest = rest[: rng.randrange(len(rest))]
            case _:
                numbers = struct.pack("<f", rng.choice((float("nan"), float("inf"), 3e38)))
                at = 4 * rng.randrange(len(rest) // 4)
                rest = rest[:at] + numbers + rest[at + 4 :]
        if not names:
            break
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


def _loaded(state: Path) -> Callable[[Case], str]:
    def read(case: Case) -> str:
        shutil.rmtree(state, ignore_errors=True)
        folder = state / "models" / "step-00000001-0a1b2c3d"
        folder.mkdir(parents=True)
        for name, content in zip(FILES, case.parts, strict=True):
            (folder / name).write_bytes(content)
        before = sorted(state.rglob("*"))
        answer = "served"
        try:
            model = ServableModel(published.open_model(folder), CPU)
            if model.published.path != folder:
                raise BrokenError("another folder")
        except ModelError as error:
            if str(folder) not in str(error):
                raise BrokenError("an error that names no model") from error
            answer = "refused"
        current.candidates(state)
        entries(state, check=True)
        published.prune(state / "models", keep=1)
        atomic.remove_leftovers(state / "models")
        if sorted(state.rglob("*")) != before:
            raise BrokenError("a file has come or gone")
        return answer

    return read


def _note(rng: Random) -> Case:
    values = {"model": "step-1-2", "since_ns": 1, "pinned": False, "served": ["step-0-1"]}
    if rng.random() < 0.4:
        return Case("bytes", [mutated(json.dumps(values).encode(), rng)])
    if rng.random() < 0.1:
        return Case("deep", [b"[" * 100_000])
    name = rng.choice(list(values))
    odd = rng.choice((*NUMBERS, grammar.text(rng), [grammar.text(rng)], [[1]], {"a": 1}))
    return Case("fields", [json.dumps(values | {name: odd}).encode("utf-8", "surrogatepass")])


def _noted(state: Path) -> Callable[[Case], str]:
    (state / "models").mkdir(parents=True)

    def read(case: Case) -> str:
        (state / current.NOTE).write_bytes(case.parts[0])
        note = current.read_note(state)
        if not isinstance(note.model, str) or type(note.since_ns) is not int:
            raise BrokenError(f"{note!r:.200}")
        for name in ("current", "previous", note.model, note.previous):
            try:
                current.find(state, name)
            except ModelError:
                continue
            raise BrokenError("there is no model")
        current.write_note(state, note.forward("step-9-9"))
        return "a note" if note.model else "none"

    return read
