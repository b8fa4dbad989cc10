"""The command `runvitals`. Each command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from runvitals.commands import judge, keep, look, serve
from runvitals.errors import RunvitalsError

app = typer.Typer(
    help="The vital signs of an LLM training run: live curves, comparison, alerts that say why and what to do.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # older versions of typer print them, the addresses of receivers among them
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (serve, look, judge, keep):
    app.add_typer(group.app)


def _version(wanted: bool) -> None:
    if wanted:
        from runvitals import __version__

        typer.echo(f"runvitals {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line; our own errors become one line and exit status 2."""
    try:
        app()
    except RunvitalsError as error:
        typer.echo(f"runvitals: {error}", err=True)
        sys.exit(2)
