"""Commands that keep house: runs removed, put away and brought back; the home examined."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runvitals.commands.options import Home, Runs, settings_of
from runvitals.settings import Settings

app = typer.Typer()


@app.command(
    epilog="Examples: [bold]runvitals delete dpo-beta-0.1[/bold] · [bold]runvitals delete RUN RUN --yes[/bold]"
)
def delete(
    run: Runs,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also a run that is live.")] = False,
    home: Home = None,
) -> None:
    """Delete runs with their curves, alerts and notes, and their journals."""
    from runvitals.housekeeping import delete as delete_runs

    raise typer.Exit(delete_runs(settings_of(home), run, force=force, yes=yes))


@app.command(epilog="Examples: [bold]runvitals gc --dry-run[/bold] · [bold]runvitals gc --older-than 90d[/bold]")
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Also runs that ended longer ago: 12h, 90d, 6w.")
    ] = None,
    home: Home = None,
) -> None:
    """Remove what nobody needs any more: stored journals of ended runs, dead watchers, left-over files, free space."""
    from runvitals.housekeeping import collect

    raise typer.Exit(collect(settings_of(home), older_than=older_than, dry_run=dry_run))


@app.command(
    epilog="Examples: [bold]runvitals archive RUN[/bold] · [bold]runvitals archive RUN --to /backup --remove[/bold]"
)
def archive(
    run: Runs,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder for the files (default: archive in the home).")
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete each run once its file is written and checked.")
    ] = False,
    home: Home = None,
) -> None:
    """Write runs to one Parquet file each, which pandas reads and `runvitals restore` brings back."""
    from runvitals.housekeeping import put_away

    raise typer.Exit(put_away(settings_of(home), run, to=to, remove=remove))


@app.command(epilog="Example: [bold]runvitals restore /backup/dpo-beta-0.1-k3v9.parquet[/bold]")
def restore(
    file: Annotated[list[Path], typer.Argument(help="Files that `runvitals archive` wrote.", show_default=False)],
    home: Home = None,
) -> None:
    """Bring archived runs back into the store."""
    from runvitals.housekeeping import bring_back

    raise typer.Exit(bring_back(settings_of(home), file))


@app.command(epilog="Examples: [bold]runvitals doctor[/bold] · [bold]runvitals doctor --json[/bold]")
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False, home: Home = None
) -> None:
    """Examine home, store, journals and watchers; say what is wrong and what to do. Exit code 1 where something is."""
    from runvitals.housekeeping import diagnose_home

    raise typer.Exit(diagnose_home(Settings.from_environment(home=home), as_json=as_json))
