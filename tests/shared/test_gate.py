"""The gate alone: requests of RFC 27 in, verdicts out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rvsense.gate import ENTRANCES, Allowed, Gate

KEYS = {bytes([n]) * 32: role for n, role in enumerate(["device", "subscriber", "operator"])}
GATE = Gate({key: Allowed(role, "north", b"z" * 40) for key, role in KEYS.items()})


def request(entrance: bytes, mechanism: bytes, *credentials: bytes) -> list[bytes]:
    """As libzmq asks."""
    return [b"1.0", b"17", entrance, b"10.0.0.7", b"", mechanism, *credentials]


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("key", KEYS)
def test_a_verdict_is_a_reply_in_form(entrance: str, key: bytes) -> None:
    """Six parts, the request's own number, 200 with the user or 400 without."""
    verdict = GATE.judge(request(entrance.encode(), b"CURVE", key))
    version, number, status, _, user, metadata = verdict.reply
    assert (version, number, metadata) == (b"1.0", b"17", b"")
    assert (verdict.entrance, verdict.address) == (entrance, "10.0.0.7")
    if KEYS[key] in ENTRANCES[entrance]:
        wanted = f"{KEYS[key]}/north/zzzzzzzz".encode()
        assert (status, user, verdict.reason) == (b"200", wanted, None)
    else:
        assert (status, user, verdict.reason) == (b"400", b"", "wrong_role")


@pytest.mark.parametrize("mechanism", [b"NULL", b"PLAIN", b"GSSAPI", b"curve"])
def test_no_other_mechanism_opens(mechanism: bytes) -> None:
    """Not even with a key that is known."""
    assert GATE.judge(request(b"intake", mechanism, bytes(32))).reason == "unknown_key"
    assert GATE.judge(request(b"intake", mechanism)).reply[2] == b"400"


@given(st.binary(max_size=40), st.sampled_from([*ENTRANCES, "", "else"]))
def test_an_unknown_key_never_opens(key: bytes, entrance: str) -> None:
    """Whatever it is, wherever it knocks; refusals all look alike."""
    verdict = GATE.judge(request(entrance.encode(), b"CURVE", key))
    if key not in KEYS:
        assert verdict.reply[2:] == [b"400", b"denied", b"", b""]


def test_an_entrance_that_is_none_takes_nobody() -> None:
    """A socket whose domain was mistyped stays shut."""
    for key in KEYS:
        assert GATE.judge(request(b"intakes", b"CURVE", key)).reason == "wrong_role"


def test_another_list_counts_from_then_on() -> None:
    """By role, also those that nobody has."""
    gate = Gate({})
    gate.replace({bytes(32): Allowed("device", "north", b"z" * 40)})
    assert gate.users == {"device/north/zzzzzzzz"}
    assert gate.counts() == {"daemon": 0, "device": 1, "operator": 0, "subscriber": 0}
