"""Commands that watch and show: they run until they are ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runvitals.commands.options import AllowedHosts, Home, Host, Notify, Port, settings_of, stop_event

app = typer.Typer()
notify_app = typer.Typer(help="Receivers of alerts.", no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(notify_app, name="notify")


@app.command(epilog="Example: [bold]runvitals up --port 8600[/bold]")
def up(
    home: Home = None,
    host: Host = "127.0.0.1",
    port: Port = 8501,
    notify: Notify = None,
    allowed_host: AllowedHosts = None,
) -> None:
    """Run watcher and dashboard together: all that a single machine needs. Ctrl-C ends both."""
    from runvitals.up import Together

    settings = settings_of(home)
    with Together(settings, host=host, port=port, notify=notify or (), names=allowed_host or ()) as together:
        typer.echo(f"runvitals  {together.address}")
        typer.echo(f"home       {settings.home}")
        typer.echo("Ctrl-C ends watcher and dashboard; training goes on and its journals wait.")
        raise typer.Exit(together.wait(stop_event()))


@app.command(epilog="Examples: [bold]runvitals watch[/bold] · [bold]runvitals watch --once[/bold]")
def watch(
    home: Home = None,
    once: Annotated[bool, typer.Option("--once", help="Take in all that is there, and end.")] = False,
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between passes.")] = 0.5,
    notify: Notify = None,
) -> None:
    """Take journals into the store, diagnose runs, raise and send alerts."""
    from runvitals.watch.command import watch_once, watch_until

    settings = settings_of(home)
    receivers = (*settings.notify, *(notify or ()))
    if once:
        raise typer.Exit(watch_once(settings, receivers))
    watch_until(settings, receivers, stop_event(), interval_s=interval_s)


@app.command(epilog="Example: [bold]runvitals dashboard --host 0.0.0.0 --port $PORT[/bold]")
def dashboard(
    home: Home = None, host: Host = "127.0.0.1", port: Port = 8501, allowed_host: AllowedHosts = None
) -> None:
    """Serve the dashboard alone; where no watcher is alive it starts one beside it."""
    from runvitals.up import serve_dashboard

    raise typer.Exit(
        serve_dashboard(settings_of(home), host=host, port=port, stop=stop_event(), names=allowed_host or ())
    )


@app.command(epilog="Examples: [bold]runvitals demo[/bold] · [bold]runvitals demo --once[/bold]")
def demo(
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Run to the end, print the alerts, fail where a sick run raised none or a healthy one did."
        ),
    ] = False,
    host: Host = "127.0.0.1",
    port: Port = 8501,
    home: Annotated[Path, typer.Option("--home", help="Folder for the demo's runs; emptied first.")] = Path(".demo"),
) -> None:
    """Train real tiny models, healthy and sick side by side, live in the dashboard."""
    from runvitals.demo import run_demo

    raise typer.Exit(run_demo(home.absolute(), host=host, port=port, once=once, stop=stop_event()))


@notify_app.command("test", epilog="Example: [bold]runvitals notify test[/bold]")
def notify_test(home: Home = None, notify: Notify = None) -> None:
    """Send a test message to each receiver, those of runvitals.toml too, and say what came of it; ends with 1 where one did not take it."""
    from runvitals.watch.try_receivers import try_all

    settings = settings_of(home)
    raise typer.Exit(try_all(settings, (*settings.notify, *(notify or ()))))
