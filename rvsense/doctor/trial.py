"""How fast this machine answers and learns: one network of the configured preset, tried out."""

import statistics
import time
from collections.abc import Callable, Iterator

import torch

from rvsense.config import Config
from rvsense.doctor.findings import Finding
from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.folding import fold
from rvsense.machine import pick_device, preset_name

PERIOD_MS = 1000 / 30
PASSES = 10
SPECS = {
    "edge": EncoderSpec("residual", ("magnitude", "motion"), key_dim=1280),
    "paper": EncoderSpec("vgg16", ("magnitude",), key_dim=4096),
}


def answering(config: Config) -> Iterator[Finding]:
    """One frame through the network, as the daemon answers it."""
    device = pick_device(config.serving.device, "serving.device")
    preset = preset_name(config.learning, device)
    encoder = build_encoder(SPECS[preset], seed=0)
    fold(encoder.eval())
    encoder.to(device)
    frame = 0.03 * torch.randn(1, 4, 128, 128, 2)
    with torch.inference_mode():
        ms = median_ms(lambda: encoder.features(encoder.prepare(frame.to(device))).cpu())
    facts = {"preset": preset, "device": device.type, "ms": round(ms, 2)}
    text = f"{preset} on {device.type}: {ms:.1f} ms a frame, {1000 / ms:.0f} frames a second"
    if ms <= PERIOD_MS:
        sites = int(PERIOD_MS / ms)
        yield Finding("answering", "good", f"{text}: {sites} sites at 30 Hz at most", facts=facts)
    else:
        remedy = "too slow for a radar of 30 Hz: --preset edge, or a GPU; frames will be dropped"
        yield Finding("answering", "warn", text, remedy, facts)


def learning(config: Config, step: Callable[[Config], float | None]) -> Iterator[Finding]:
    """A training step of a full batch; `step` makes one and returns its milliseconds, None
    where that would take minutes."""
    ms = step(config)
    if ms is None:
        text = "paper on a CPU: minutes a step, not tried"
        yield Finding("learning", "warn", text, "--preset edge learns on a CPU; or a GPU")
        return
    batch = config.learning.batch
    facts = {"ms": round(ms, 1), "batch": batch}
    text = f"{ms:.0f} ms a training step of {batch} pairs, {1000 / ms:.1f} steps a second"
    yield Finding("learning", "good", text, facts=facts)


def median_ms(act: Callable[[], object]) -> float:
    """Wall-clock milliseconds of `act`, the first call aside."""
    act()
    taken = []
    for _ in range(PASSES):
        began = time.perf_counter()
        act()
        taken.append(1e3 * (time.perf_counter() - began))
    return statistics.median(taken)
