"""The learner: teacher, pool, queue, contrast, head, checkpoints, publication."""
