"""What is done with names that come from elsewhere, and that none of it leads out of its folder."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgpack

from rvsense import current, keyring, parcel, wire
from rvsense.errors import ConfigError, FrameError, ModelError, UsageError
from rvsense.replay.recording.export import export
from rvsense.replay.recording.form import Message, split_topic, topic
from rvsense.replay.recording.segment import Segment
from rvsense.replay.sequence import site_of
from tests.fuzz import golden, grammar
from tests.fuzz.drive import BrokenError, Case

SECRET = b"nobody is given this"
DIGEST = "0a1b2c3d" * 8
MODEL = "step-00000400-0a1b2c3d"
PARTS = ("..", ".", "a", "models", MODEL, "secret", "\0", "%2e%2e", "．．", "‥", "∕", "C:", "")
ID = re.compile(r"step-[0-9]{8,18}-[0-9a-f]{8}")
Use = Callable[[str], str]


def name(rng: Random) -> Case:
    """A name: one of our tricks, a path of tricks, or a long one."""
    choice = rng.random()
    if choice < 0.4:
        text = grammar.text(rng)
    elif choice < 0.9:
        text = rng.choice(("/", "\\", "∕", "")).join(rng.choices(PARTS, k=rng.choice((2, 3, 8))))
    else:
        text = rng.choice(("../", "a/", "é", "a", "..")) * rng.choice((100, 1000))
    return Case(rng.choice(tuple(USES)), [text.encode("utf-8", "surrogatepass")])


class Places:
    """A folder with a secret beside what names may lead to."""

    def __init__(self, work: Path) -> None:
        self.root = work / "root"
        self.state = self.root / "state"
        self.models = self.state / "models"
        (self.models / MODEL).mkdir(parents=True)
        for file in parcel.FILES:
            (self.models / MODEL / file).write_bytes(b"a model")
        self.out = self.root / "out"
        self.keys = self.root / "keys"
        for place in (self.root / "secret", self.state / "secret", self.models / "secret"):
            place.write_bytes(SECRET)
        keyring.new_server(self.keys)
        self._before = self._listed()

    def use(self, case: Case) -> str:
        """Do with a name what its case says.

        Raises:
            BrokenError: something was written or read where the name led to.
        """
        answer = USES[case.how](self, case.parts[0].decode("utf-8", "surrogatepass"))
        for place in (self.out, self.keys / keyring.BUNDLES, *self.keys.glob("devices/*")):
            shutil.rmtree(place, ignore_errors=True)
            place.unlink(missing_ok=True)
        if self._listed() != self._before:
            raise BrokenError(f"files came or went: {self._listed() ^ self._before}")
        return f"{case.how}: {answer}"

    def _listed(self) -> frozenset[Path]:
        # The folder of the test is looked at too: a name may lead out of the root.
        return frozenset(self.root.parent.rglob("*"))

    def site(self, text: str) -> str:
        """Of a frame: 64 characters that are safe anywhere but alone in a path."""
        head = golden.values("label") | {"site": text}
        try:
            found = wire.decode([msgpack.packb(head)])
        except (FrameError, UnicodeEncodeError):
            return "refused"
        if split_topic(topic(found.site, "radar")) != (found.site, "radar"):
            raise BrokenError("another site, once it is recorded")
        return "a site"

    def sequence(self, text: str) -> str:
        """Of a dataset: it becomes a site, whatever it is."""
        site = site_of(text)
        if not wire.SITE.fullmatch(site):
            raise BrokenError(f"site {site!r}")
        return "a site"

    def exported(self, text: str) -> str:
        """A frame names its sequence, and its site may be called like a folder."""
        site = text if wire.SITE.fullmatch(text) else "north"
        values = golden.values("camera frame") | {"site": site}
        values |= {"source": {"sequence": text, "frame_id": 1}}
        recording = self.root / "a.mcap"
        segment = Segment(recording, {})
        try:
            head = msgpack.packb(values)
        except UnicodeEncodeError:
            head = b"\x80"
        segment.add(Message("camera", site, 1, 1, [head, golden.jpeg()]))
        segment.close({})
        try:
            report = export([recording], self.out)
        finally:
            recording.unlink()
        inside = [path for path in self.out.rglob("*.jpg") if path.is_relative_to(self.out)]
        if len(inside) != report.written.total():
            raise BrokenError("what was written is not there")
        return "written" if inside else "left out"

    def chunk(self, text: str) -> str:
        """Of a model that is fetched: an id and the name of a file."""
        for id, file in ((text, "manifest.json"), (MODEL, text), (text, text)):
            try:
                data = parcel.read_chunk(self.models, id, file, 0)
            except ModelError:
                continue
            if SECRET in data:
                raise BrokenError("the secret")
            return "read"
        return "refused"

    def offered(self, text: str) -> str:
        """By a learner elsewhere."""
        right = {"id": MODEL, "sha256": DIGEST, "manifest_sha256": DIGEST}
        files = {"manifest.json": 1, "weights.safetensors": 1}
        for wrong in ({"id": text}, {"sha256": text}, {"files": files | {text: 1}}):
            try:
                offer = parcel.read_offer(right | {"files": files} | wrong, 1000)
            except ModelError:
                continue
            if not ID.fullmatch(offer.id) or set(offer.files) - parcel.FILES:
                raise BrokenError(f"{offer!r:.300}")
            return "a model"
        return "refused"

    def found(self, text: str) -> str:
        """A model that somebody asks to go back to."""
        try:
            path = current.find(self.state, text)
        except ModelError:
            return "none"
        if path.parent != self.models:
            raise BrokenError(str(path))
        return "a model"

    def allowed(self, text: str) -> str:
        """Who is to be given a key."""
        try:
            bundle = keyring.new_client(self.keys, "device", text)
        except (UsageError, ConfigError):
            return "refused"
        if bundle.parent != self.keys / keyring.BUNDLES:
            raise BrokenError(str(bundle))
        return "a client"


USES: dict[str, Callable[[Places, str], str]] = {
    "site": Places.site,
    "sequence": Places.sequence,
    "exported": Places.exported,
    "chunk": Places.chunk,
    "offered": Places.offered,
    "found": Places.found,
    "allowed": Places.allowed,
}
