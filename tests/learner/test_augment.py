"""Augmentation against one sample at a time, and its bands."""

import pytest
import torch

from rvsense.learner.augment import Augmentation, augment

PLAIN = Augmentation(range_shift=0, azimuth_shift=0, gain=0.0, noise=0.0, mirror=0.0)


def generator() -> torch.Generator:
    """The same draws every time."""
    return torch.Generator().manual_seed(0)


def test_a_batch_is_changed_as_its_samples_one_cell_at_a_time() -> None:
    """Shift with repeated edges, then mirror, then gain and noise; x is left as it was."""
    x = torch.randn(16, 2, 24, 20, generator=torch.Generator().manual_seed(1))
    before, how, draws = x.clone(), Augmentation(range_shift=3, azimuth_shift=4), generator()
    tops = torch.randint(7, (16,), generator=draws) - 3
    lefts = torch.randint(9, (16,), generator=draws) - 4
    gains = how.gain * torch.randn(16, 1, 1, 1, generator=draws)
    noise = how.noise * torch.randn(x.shape, generator=draws)
    mirrored = torch.rand(16, generator=draws) < how.mirror
    wanted = torch.empty_like(x)
    for i in range(16):
        for row in range(24):
            for column in range(20):
                source = 19 - column if mirrored[i] else column
                at_row = min(max(row + int(tops[i]), 0), 23)
                at_column = min(max(source + int(lefts[i]), 0), 19)
                wanted[i, :, row, column] = x[i, :, at_row, at_column]
    assert torch.equal(augment(x, how, generator()), wanted + gains + noise)
    assert torch.equal(x, before)


@pytest.mark.parametrize("axis", ["range", "azimuth"])
def test_a_band_is_blank_over_all_channels_and_the_other_axis(axis: str) -> None:
    """Each sample has one band of 0 to the widest, in one piece, and is as it was elsewhere."""
    rows, columns = (9, 0) if axis == "range" else (0, 9)
    how = Augmentation(0, 0, 0.0, 0.0, 0.0, range_mask=rows, azimuth_mask=columns)
    y = augment(torch.ones(400, 2, 24, 20), how, generator())
    blank = y == 0
    lines = blank.amin(dim=(1, 3) if axis == "range" else (1, 2))  # (400, 24 or 20)
    spread = lines[:, None, :, None] if axis == "range" else lines[:, None, None, :]
    assert torch.equal(blank, spread.expand_as(blank))
    assert set(lines.sum(dim=1).tolist()) == set(range(10))
    starts = lines & ~lines.roll(1, dims=1)
    starts[:, 0] = lines[:, 0]
    assert starts.sum(dim=1).max() == 1
    assert lines.any(dim=0).all()  # every line is blank in some sample


def test_without_bands_nothing_more_is_drawn() -> None:
    """A run with the setting off repeats the runs from before there was one."""
    ends = []
    for how in (PLAIN, Augmentation(0, 0, 0.0, 0.0, 0.0, range_mask=4)):
        draws = generator()
        augment(torch.zeros(3, 1, 8, 8), how, draws)
        ends.append(draws.get_state())
    wanted = generator()
    torch.randint(1, (3,), generator=wanted)
    torch.randint(1, (3,), generator=wanted)
    torch.randn(3, 1, 1, 1, generator=wanted)
    torch.randn(3, 1, 8, 8, generator=wanted)
    torch.rand(3, generator=wanted)
    assert torch.equal(ends[0], wanted.get_state())
    assert not torch.equal(ends[1], wanted.get_state())
