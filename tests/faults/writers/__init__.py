"""Everything of the product that writes."""

from tests.faults.every import Writer
from tests.faults.writers import evaluated, exam, keys, learner, models, recording, simulated, state

WRITERS: tuple[Writer, ...] = (
    *(learner.LEARNER, learner.OTHER),
    *(state.START, state.NOTE, exam.EXAM),
    *(models.LOADER, models.LANDING, models.EXPORT),
    *(keys.INIT, keys.CLIENTS),
    *(recording.RECORDER, recording.RECOVER, recording.EXPORT),
    *(simulated.SIMULATED, evaluated.EVALUATION),
)
