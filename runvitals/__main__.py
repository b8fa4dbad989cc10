"""`python -m runvitals`, and what the command `runvitals` calls."""

import sys


def main() -> None:
    """Runs the command line; says what to install where this machine has only the client."""
    try:
        from runvitals.cli import main as run
    except ModuleNotFoundError as error:
        if error.name not in {"typer", "click", "rich"}:
            raise
        sys.exit(
            "runvitals: the command line needs the dashboard's libraries, and this machine has only the client.\n"
            "Install them with: pip install 'runvitals[dashboard]'"
        )
    run()


if __name__ == "__main__":
    main()
