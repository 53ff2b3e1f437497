"""How long a training step takes on this machine: a trainer with random pairs, tried out."""

import time
from dataclasses import replace

import torch

from rvsense.config import Learning
from rvsense.encoders import EncoderSpec, build_encoder
from rvsense.learner.lite0 import KEY_DIM
from rvsense.learner.presets import VGG, preset_of
from rvsense.learner.reproducible import be_reproducible
from rvsense.learner.teacher import Teacher
from rvsense.learner.trainer import Trainer
from rvsense.machine import pick_device, preset_name

STEPS = 3
VGG_KEY_DIM = 4096


def step_ms(learning: Learning, steps: int = STEPS) -> float | None:
    """Milliseconds of a full step as configured, teacher aside; the first is not counted.

    None where it would take minutes: VGG-16 on a CPU.

    Raises:
        ConfigError: the settings contradict each other or this machine.
    """
    device = pick_device(learning.device, "learning.device")
    preset = preset_of(learning, preset_name(learning, device))
    if preset.encoder == VGG and device.type == "cpu":
        return None
    torch.set_num_threads(learning.threads)
    be_reproducible()
    key_dim = VGG_KEY_DIM if preset.encoder == VGG else KEY_DIM
    # Short keys are fitted to a pool first; the step costs the same but for shorter products.
    settings = replace(
        learning, pool_pairs=2 * learning.batch, heldout_pairs=0, short_keys=0, whiten_keys=False
    )
    teacher = Teacher(torch.nn.Identity(), lambda image: image, key_dim, "none", "none", device)
    encoder = build_encoder(EncoderSpec(preset.encoder, preset.channels, key_dim), seed=0)
    trainer = Trainer(settings, preset, teacher, encoder.to(device), seed=0, device=device)
    draw = torch.Generator().manual_seed(0)
    for i in range(settings.pool_pairs):
        x = torch.randn(len(preset.channels), 128, 128, generator=draw).half()
        trainer.keep(x, torch.rand(key_dim, generator=draw), "tryout", 0, i * 1_000_000_000)
    trainer.train()
    began = time.perf_counter()
    for _ in range(steps):
        trainer.train()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return 1e3 * (time.perf_counter() - began) / steps
