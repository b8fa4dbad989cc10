"""`python -m runvitals`: the same as the command `runvitals`."""

from runvitals.cli import main

if __name__ == "__main__":
    main()
