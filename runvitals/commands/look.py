"""Commands that show what is stored: runs, alerts, one run as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runvitals.commands.options import Home, settings_of

app = typer.Typer()


@app.command(
    epilog="Examples: [bold]runvitals runs[/bold] · [bold]runvitals runs trainer:dpo 'lr>1e-5' tag:baseline[/bold] · "
    "[bold]runvitals runs health:critical --json[/bold]"
)
def runs(
    query: Annotated[
        list[str] | None, typer.Argument(help="What to find, as on the Runs page; quote terms with < or >.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON: one run a line, with its settings; nothing where none answers.")
    ] = False,
    home: Home = None,
) -> None:
    """List runs with status, health, step, first finding and tags."""
    settings, asked = settings_of(home), " ".join(query or ())
    if as_json:
        from runvitals.run_export import print_json

        print_json(settings, asked)
        return
    from runvitals.tables import print_runs

    print_runs(settings, asked)


@app.command(
    epilog="Examples: [bold]runvitals alerts --all[/bold] · [bold]runvitals alerts --answers[/bold] · "
    "[bold]runvitals alerts --all --json[/bold]"
)
def alerts(
    home: Home = None,
    everything: Annotated[bool, typer.Option("--all", help="Resolved and informational alerts too.")] = False,
    answers: Annotated[
        bool, typer.Option("--answers", help="How often people called the alerts of each rule right or wrong.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON: one alert a line, with what people said of it.")
    ] = False,
) -> None:
    """List alerts with the step they fired at and what to try first."""
    settings = settings_of(home)
    if answers or as_json:
        from runvitals import alert_export

        if answers:
            alert_export.print_answers(settings, as_json=as_json)
        else:
            alert_export.print_json(settings, everything=everything)
        return
    from runvitals.tables import print_alerts

    print_alerts(settings, everything=everything)


@app.command(
    epilog="Examples: [bold]runvitals report dpo-7b[/bold] · [bold]runvitals report dpo-7b --incident margin_stagnant[/bold] · "
    "[bold]runvitals report dpo-7b --markdown --out ticket.md[/bold]"
)
def report(
    run: Annotated[str, typer.Argument(help="Id or name, as `runvitals runs` lists it.", show_default=False)],
    incident: Annotated[
        str | None,
        typer.Option("--incident", help="Only this incident: its id, that of one of its alerts, or a rule's name."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write, or folder for it (default: here, named after the run).")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Markdown, its charts as SVG files in a folder beside it.")
    ] = False,
    home: Home = None,
) -> None:
    """Write a run, or one incident of it, to one HTML file with charts, to attach to a ticket. It needs no network and no script."""
    from runvitals.report import write_report

    raise typer.Exit(write_report(settings_of(home), run, incident=incident, out=out, markdown=markdown))
