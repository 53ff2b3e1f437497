"""Sources of frames: the CRUW reader, the player that sends it, and the simulator.

`layouts.open_dataset` finds sequences on disk, `sequence.Sequence` reads one frame of them,
`plan` puts all frames of a run in order, `pacing` says when each is due, and `player` is the
only place that sends. Nothing here imports the daemon or the learner.
"""
