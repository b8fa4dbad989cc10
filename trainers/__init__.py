"""The training side: the callback, the margin probe, step timing."""
