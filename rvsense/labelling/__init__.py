"""Labels by hand: what was seen, of which frames, and how the daemon is told."""
