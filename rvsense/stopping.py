"""What a daemon tells its own learner about a stop, beside the message `stop`."""

import signal

HURRY = signal.SIGUSR1
"""Somebody waits: a model that is half done is given up."""
