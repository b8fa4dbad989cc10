"""Runnable training recipes; each has `--help`."""
