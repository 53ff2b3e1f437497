"""A rank other than 0: does what rank 0 orders, and decides nothing."""

from contextlib import suppress

from rvsense.learner import state
from rvsense.learner.group import Group
from rvsense.learner.shortage import ShortageError
from rvsense.learner.step import Batch
from rvsense.learner.trainer import Trainer


def follow(trainer: Trainer, group: Group) -> None:
    """Take every step that rank 0 takes, on the batches that it draws, until it stops.

    `trainer` is built as rank 0's, so that both begin with the same weights; its pool, labels
    and random draws are never used.

    Raises:
        GroupError: when rank 0 has gone or is silent for too long.
    """
    for order in group.orders():
        if order.op == "load":
            state.load_network(trainer, order.tensors)
        elif order.op == "forget":
            trainer.forget(order.values["site"])
        else:
            trainer.counters.step = order.values["step"]
            group.begin_step(order.values["seed"])
            with suppress(ShortageError):  # no rank takes that step; rank 0 says so
                trainer.step_on(Batch(**order.tensors))
