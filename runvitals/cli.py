"""The command `runvitals`."""


def main() -> None:
    """Runs the command line."""
    raise SystemExit("runvitals: the command line is being built")
