"""Places and sites as numbers, what a site's pictures have in common, and negatives of one site."""

import pytest
import torch

from rvsense.learner import backgrounds as module
from rvsense.learner.backgrounds import FIRST, Backgrounds
from rvsense.learner.place import place_of, site_of, sites_of
from rvsense.learner.queue import KeyQueue

NORTH, SOUTH = place_of("north", 1), place_of("south", 1)


def seen(backgrounds: Backgrounds, keys: torch.Tensor, place: int) -> list[bool]:
    """What `see` said of each key."""
    return [backgrounds.see(key, place) for key in keys]


@pytest.mark.parametrize("epoch", [0, 1, 2**32 - 1])
def test_a_place_is_a_site_and_an_epoch(epoch: int) -> None:
    """Same site, other epoch: another place of the same site; all fit a signed tensor."""
    place = place_of("north", epoch)
    assert site_of(place) == site_of(NORTH) != site_of(SOUTH)
    assert (place == NORTH) == (epoch == 1)
    assert 0 <= place < 2**63
    assert sites_of(torch.tensor([place, -1])).tolist() == [site_of(NORTH), -1]


def test_a_background_is_the_mean_of_a_sites_own_keys_at_each_doubling() -> None:
    """Renewed at 32, 64, 128 keys; between them it stays as it is."""
    keys = torch.randn(4 * FIRST, 8, generator=torch.Generator().manual_seed(0)) + 3
    backgrounds = Backgrounds(8, centre=True)
    renewed = seen(backgrounds, keys[: 2 * FIRST + 5], NORTH)
    assert [i + 1 for i, new in enumerate(renewed) if new] == [FIRST, 2 * FIRST]
    less = backgrounds.less(keys[:3], torch.tensor([NORTH, place_of("north", 9), SOUTH]))
    mean = keys[: 2 * FIRST].mean(dim=0)
    assert torch.allclose(less[:2], keys[:2] - mean, atol=1e-5)
    assert torch.equal(less[2], keys[2]), "a site without a background keeps its keys"


def test_switched_off_it_changes_nothing() -> None:
    """The paper's form."""
    keys = torch.randn(2 * FIRST, 8)
    backgrounds = Backgrounds(8, centre=False)
    assert not any(seen(backgrounds, keys, NORTH))
    assert torch.equal(backgrounds.less(keys, torch.full((len(keys),), NORTH)), keys)
    assert not len(backgrounds.state()["sites"])


def test_it_goes_on_from_its_state() -> None:
    """Sites with and without a background, to the bit, and the next doubling comes in time."""
    keys = torch.randn(3 * FIRST, 8, generator=torch.Generator().manual_seed(1))
    first, second = Backgrounds(8, centre=True), Backgrounds(8, centre=True)
    seen(first, keys[: FIRST + 3], NORTH)
    seen(first, keys[:5], SOUTH)
    second.load(first.state())
    rest = keys[FIRST + 3 :]
    assert seen(first, rest, NORTH) == seen(second, rest, NORTH)
    places = torch.tensor([NORTH, SOUTH])
    assert torch.equal(first.less(keys[:2], places), second.less(keys[:2], places))


def test_of_very_many_sites_the_last_seen_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their names; and a restored one forgets the same ones."""
    monkeypatch.setattr(module, "MOST_SITES", 4)
    first, second = Backgrounds(8, centre=True), Backgrounds(8, centre=True)
    key = torch.ones(8)
    for n in range(10):
        first.see(key, place_of(f"site {n}", 0))
    first.see(key, place_of("site 6", 0))
    second.load(first.state())
    for it in (first, second):
        it.see(key, place_of("another", 0))
        names = ("site 8", "site 9", "site 6", "another")
        assert it.state()["sites"].tolist() == [site_of(place_of(name, 0)) for name in names]


def test_negatives_of_the_same_site_and_of_no_other() -> None:
    """Other epochs of the site count, other sites do not, and a forgotten site has none."""
    queue = KeyQueue(6, 2, torch.device("cpu"))
    places = torch.tensor([NORTH, place_of("north", 2), SOUTH, SOUTH])
    queue.enqueue(torch.eye(4)[:, :2], torch.arange(4) * 10**9, places)
    query = torch.tensor([50 * 10**9]), torch.tensor([NORTH])
    mask = queue.admissible(*query, 0, same_site=True)[0]
    assert mask.tolist() == [True, True, False, False, False, False]
    assert queue.admissible(*query, 0)[0].tolist() == [True] * 4 + [False] * 2
    queue.forget(site_of(NORTH))
    assert not queue.admissible(*query, 0, same_site=True).any()
    assert queue.admissible(*query, 0)[0].tolist() == [False, False, True, True, False, False]
