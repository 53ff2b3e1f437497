"""TOML files become configurations, and everything that cannot work is refused by name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rvsense import configfile
from rvsense.config import Config
from rvsense.errors import ConfigError


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """A function that writes a configuration file and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "site.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems_of(path: Path | None, **overrides: object) -> list[str]:
    """The lines of the error that loading raises (a double underscore stands for a dot)."""
    flags = {key.replace("__", "."): value for key, value in overrides.items()}
    with pytest.raises(ConfigError) as caught:
        configfile.load(path, flags)
    assert caught.value.status == 78
    return str(caught.value).splitlines()


def test_no_file_is_the_defaults() -> None:
    """Without a file and flags the defaults hold, and they pass their own checks."""
    assert configfile.load(None, {}) == Config()
    assert configfile.load(None, configfile.flatten(Config())) == Config()


def test_file_then_flags(write: Any) -> None:
    """A file changes the defaults, and a flag wins over the file."""
    path = write("seed = 3\n[learning]\nbatch = 32\nqueue = 7\n")
    config = configfile.load(path, {"learning.batch": 16})
    assert (config.seed, config.learning.batch, config.learning.queue) == (3, 16, 7)


def test_auto_and_whole_numbers_for_floats(write: Any) -> None:
    """`auto` means None where a float is optional, and 1 is a fine float."""
    config = configfile.load(write('[pairing]\ntolerance_s = "auto"\noffset_s = 1\n'), {})
    assert config.pairing.tolerance_s is None
    assert config.pairing.offset_s == 1.0
    assert type(config.pairing.offset_s) is float


@pytest.mark.parametrize(
    ("text", "key", "value", "allowed"),
    [
        ("[learning]\nbatch = 1", "learning.batch", "1", "a whole number from 2"),
        ("[learning]\nbatch = 2.0", "learning.batch", "2.0", "a whole number from 2"),
        ("[learning]\nbatch = true", "learning.batch", "true", "a whole number from 2"),
        ("[learning]\naugment = 1", "learning.augment", "1", "true or false"),
        ("[learning]\ntemperature = nan", "learning.temperature", "nan", "from 0.001 to 10.0"),
        ("[serving]\nmax_ood_score = inf", "serving.max_ood_score", "inf", "a number from 0.0"),
        ('[learning]\nmomentum = "auto"', "learning.momentum", '"auto"', "from 0.0 to 0.999"),
        ("[pairing]\noffset_s = -11", "pairing.offset_s", "-11", "auto or a number from -10.0"),
        ('[serving]\ndevice = "gpu"', "serving.device", '"gpu"', "auto, cpu or cuda"),
        ('[learning]\ninputs = "x"', "learning.inputs", '"x"', "empty, magnitude or mag"),
        ("seed = 9223372036854775808", "seed", "9223372036854775808", "below 2**63"),
        ("state_dir = 1979-05-27", "state_dir", "datetime.date(1979, 5, 27)", "text"),
        ('state_dir = "a\\u0007"', "state_dir", '"a\\u0007"', "text without control"),
        ("learning = 4", "learning", "4", "a table [learning]"),
    ],
)
def test_impossible_values(write: Any, text: str, key: str, value: str, allowed: str) -> None:
    """A wrong type or value is refused with file, key, value and what is allowed."""
    path = write(text)
    [line] = problems_of(path)
    assert line.startswith(f"{path}: {key} is {value}; allowed: ")
    assert allowed in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[serving]\ndevise = 'cpu'", "unknown key serving.devise; did you mean serving.device?"),
        ("batch = 3", "unknown key batch; did you mean learning.batch?"),
        ("[lerning]\nbatch = 3", "unknown table [lerning]; did you mean learning?"),
        ("[pairing.tolerance]\ns = 3", "unknown key pairing.tolerance; did you mean pairing.tol"),
        ("zzz = 1", "unknown key zzz; --print-config lists every key"),
    ],
)
def test_unknown_keys(write: Any, text: str, message: str) -> None:
    """An unknown key or table is refused with a likely spelling."""
    [line] = problems_of(write(text))
    assert message in line


def test_all_problems_at_once(write: Any) -> None:
    """Everything wrong in file and flags is listed in one go, each with its source."""
    path = write('log_level = "loud"\n[serving]\nthreads = 0\nmax_batch = "8"\n')
    lines = problems_of(path, learning__batch=5000, endpoints__intake="tcp:/x")
    assert [line.split(" is ")[0] for line in lines] == [
        f"{path}: log_level",
        f"{path}: serving.threads",
        f"{path}: serving.max_batch",
        "command line: endpoints.intake",
        "command line: learning.batch",
    ]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"learning__batch": 128, "learning__pool_pairs": 100}, "learning.batch up to learning.p"),
        ({"learning__min_pool_pairs": 9999}, "learning.min_pool_pairs up to learning.pool_pairs"),
        ({"learning__total_steps": 10}, "learning.warmup_steps is 50; allowed: up to"),
        ({"learning__detector_doubt": 0.6}, "learning.detector_doubt up to learning.detector_sure"),
        ({"learning__whiten_keys": True}, "does nothing while learning.short_keys is 0"),
        (
            {"learning__mask_rows": 9, "learning__augment": False},
            "learning.mask_rows = 9 does nothing while learning.augment is false",
        ),
        ({"pairing__lateness_s": 3.0}, "pairing.lateness_s up to pairing.idle_timeout_s"),
        ({"endpoints__results": "tcp://127.0.0.1:05560"}, "as endpoints.intake; give each"),
        ({"endpoints__http": "127.0.0.1:5560"}, "as endpoints.intake; give each its own port"),
    ],
)
def test_impossible_together(flags: dict[str, object], message: str) -> None:
    """Settings that contradict each other are refused, naming both."""
    [line] = problems_of(None, **flags)
    assert message in line


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://127.0.0.1:0", "tcp://*:*", "tcp://[::1]:5560", "tcp://eth0:65535", "ipc:///run/a b"],
)
def test_endpoints_taken(endpoint: str) -> None:
    """What libzmq can bind for another process to reach is allowed."""
    flags = {"endpoints.intake": endpoint, "access.insecure": True}
    assert configfile.load(None, flags).endpoints.intake == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:-1",
        "tcp://a b:1",
        "tcp://h:1\n",
        "tcp://::1:5560",
        "udp://127.0.0.1:5560",
        "inproc://x",
        "ipc://",
        "ipc://" + "x" * 108,
        "127.0.0.1:5560",
    ],
)
def test_endpoints_refused(endpoint: str) -> None:
    """Anything else is refused before a socket sees it."""
    [line] = problems_of(None, endpoints__intake=endpoint)
    assert "tcp://HOST:PORT" in line


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "192.168.0.7", "[::]", "[fe80::1%eth0]", "eth0"])
@pytest.mark.parametrize("name", ["intake", "results", "requests"])
def test_what_other_machines_reach_needs_keys(name: str, host: str) -> None:
    """Refused by default, naming the remedy; taken with keys, or when the risk is taken."""
    wanted: dict[str, object] = {f"endpoints.{name}": f"tcp://{host}:7000"}
    with pytest.raises(ConfigError) as caught:
        configfile.load(None, wanted)
    assert f"endpoints.{name}" in str(caught.value)
    assert "--keys" in str(caught.value)
    assert "--insecure" in str(caught.value)
    for remedy in ({"access.keys": "/etc/rvsense/keys"}, {"access.insecure": True}):
        assert configfile.load(None, wanted | remedy).endpoints


def test_http_beyond_this_machine_is_a_risk_with_keys_too() -> None:
    """No key protects HTTP."""
    wanted: dict[str, object] = {"endpoints.http": "0.0.0.0:9464", "access.keys": "/k"}
    with pytest.raises(ConfigError, match=r"endpoints\.http.*proxy.*--insecure"):
        configfile.load(None, wanted)
    assert configfile.load(None, wanted | {"access.insecure": True})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]", "localhost", "lo"])
def test_what_stays_on_this_machine_needs_none(host: str) -> None:
    """Loopback, under each of its names, and ipc."""
    assert configfile.load(None, {"endpoints.intake": f"tcp://{host}:7000"})
    assert configfile.load(None, {"endpoints.intake": "ipc:///run/rvsense/intake"})


@pytest.mark.parametrize("address", ["9464", "localhost", "tcp://h:1", "h:*", "::1:80", "h:99999"])
def test_http_addresses_refused(address: str) -> None:
    """The HTTP address is HOST:PORT and nothing else."""
    [line] = problems_of(None, endpoints__http=address)
    assert "HOST:PORT" in line


@pytest.mark.parametrize(
    "endpoint", ["north", "tcp://127.0.0.1", "tcp://*:5570", "tcp://north:*", "tcp://north:0"]
)
def test_a_learner_elsewhere_needs_an_endpoint(endpoint: str) -> None:
    """`learner` is empty or an endpoint that one can connect to."""
    [line] = problems_of(None, learner=endpoint)
    assert "tcp://HOST:PORT" in line


def test_unreadable_files(write: Any, tmp_path: Path) -> None:
    """A missing file, broken TOML, endless nesting and no text each name file and reason."""
    missing = tmp_path / "none.toml"
    assert problems_of(missing) == [
        f"{missing}: cannot be read (No such file or directory); give another --config"
    ]
    broken = write("seed = \n")
    assert "is not TOML: Invalid value (at line 1" in problems_of(broken)[0]
    broken.write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in problems_of(broken)[0]
    assert problems_of(write("a = " + 5000 * "[")) == [f"{broken}: is nested too deep"]
    assert "is not TOML: Exceeds the limit" in problems_of(write("seed = " + 5000 * "9"))[0]


def test_what_cannot_be_shown_is_described(write: Any) -> None:
    """Keys that are no line of text, and numbers that have no end."""
    strange = write('"a\\nb\\u001b[31m" = 1\nseed = 0x' + 5000 * "f" + f"\n{'x' * 500} = 1\n")
    assert problems_of(strange) == [
        f'{strange}: unknown key "a\\nb\\u001b[31m"; --print-config lists every key',
        f"{strange}: seed is a number of very many digits; allowed: a whole number from 0, below "
        "2**63",
        f"{strange}: unknown key {'x' * 77}...; --print-config lists every key",
    ]


LEARNERS = ("", "tcp://north:5570", "ipc:///run/learner.sock")


def value_of(slot: configfile.Slot) -> st.SearchStrategy[Any]:
    """Values that a setting may hold; the crosswise checks are kept by narrow bounds."""
    if slot.key.startswith("endpoints."):
        name = slot.key.partition(".")[2]
        port = 2000 + sum(map(ord, name)) % 999
        host = "[::1]" if name == "http" else "tcp://127.0.0.1"
        return st.sampled_from([f"{host}:{port}", f"{host}:0"])
    fixed = {
        *("learning.batch", "learning.min_pool_pairs", "learning.pool_pairs", "learning.collate"),
        *("learning.intra_modal", "learning.mask_rows", "learning.mask_columns"),
        *("learning.whiten_keys", "learning.detector_sure", "learning.detector_doubt"),
    }
    if slot.key in fixed or slot.key.endswith(("lateness_s", "idle_timeout_s", "_steps")):
        return st.just(configfile.flatten(Config())[slot.key])
    words = LEARNERS if slot.key == "learner" else slot.choices
    if slot.kind is bool or words:
        return st.sampled_from(words or (False, True))
    if slot.kind is str:
        return st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=9)
    if slot.kind is int:
        low, high = int(slot.low or 0), int(slot.high or 2**63 - 1)
        return st.integers(low, high)
    number = st.floats(slot.low, slot.high or 1e9, allow_nan=False)
    return st.none() | number if slot.optional else number


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.fixed_dictionaries({k: value_of(s) for k, s in configfile.slots().items()}))
def test_render_loads_back(tmp_path: Path, values: dict[str, Any]) -> None:
    """Whatever a configuration holds, its rendering loads back to an equal one."""
    config = configfile.load(None, values)
    path = tmp_path / "printed.toml"
    path.write_text(configfile.render(config), encoding="utf-8")
    assert configfile.load(path, {}) == config


def test_render_has_a_comment_for_every_key() -> None:
    """Each key of the printed file stands under its documentation."""
    lines = configfile.render(Config()).splitlines()
    keys = [i for i, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(keys) == len(configfile.slots())
    assert all(lines[i - 1].startswith("# ") for i in keys)


def test_flatten_tells_what_changed() -> None:
    """Two flattened configurations differ in exactly the keys that were changed."""
    changed = replace(Config(), seed=5)
    old, new = configfile.flatten(Config()), configfile.flatten(changed)
    assert {key for key in old if old[key] != new[key]} == {"seed"}
