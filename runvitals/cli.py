"""The command `runvitals`. Each command imports what it needs when it runs, so that `--help` is quick."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from runvitals.errors import RunvitalsError
from runvitals.settings import Settings

app = typer.Typer(
    help="The vital signs of an LLM training run: live curves, comparison, alerts that say why and what to do.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # older versions of typer print them, the addresses of receivers among them
    context_settings={"help_option_names": ["-h", "--help"]},
)

bench_app = typer.Typer(help="Measure runvitals itself.", no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(bench_app, name="bench")

notify_app = typer.Typer(help="Receivers of alerts.", no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(notify_app, name="notify")

Home = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Folder of journals and the embedded store.", envvar="RUNVITALS_HOME", show_envvar=True
    ),
]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the dashboard; 0 picks a free one.")]
Host = Annotated[str, typer.Option("--host", help="Address to bind to; 127.0.0.1 is this machine only.")]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        help="A name by which browsers may reach the dashboard besides localhost and --host, as behind a proxy; may be given several times.",
    ),
]
Runs = Annotated[list[str], typer.Argument(help="Ids or names, as `runvitals runs` lists them.", show_default=False)]
Notify = Annotated[
    list[str] | None,
    typer.Option("--notify", help="Apprise URL that gets alerts; may be given several times. Or set RUNVITALS_NOTIFY."),
]


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

    settings = _settings(home)
    with Together(settings, host=host, port=port, notify=notify or (), names=allowed_host or ()) as together:
        typer.echo(f"runvitals  {together.address}")
        typer.echo(f"home       {settings.home}")
        typer.echo("Ctrl-C ends watcher and dashboard; training goes on and its journals wait.")
        raise typer.Exit(together.wait(_stop_event()))


@app.command(epilog="Examples: [bold]runvitals watch[/bold] · [bold]runvitals watch --once[/bold]")
def watch(
    home: Home = None,
    once: Annotated[bool, typer.Option("--once", help="Take in all that is there, and end.")] = False,
    interval_s: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between passes.")] = 0.5,
    notify: Notify = None,
) -> None:
    """Take journals into the store, diagnose runs, raise and send alerts."""
    from runvitals.watch.command import watch_once, watch_until

    settings = _settings(home)
    receivers = (*settings.notify, *(notify or ()))
    if once:
        raise typer.Exit(watch_once(settings, receivers))
    watch_until(settings, receivers, _stop_event(), interval_s=interval_s)


@notify_app.command("test", epilog="Example: [bold]runvitals notify test[/bold]")
def notify_test(home: Home = None, notify: Notify = None) -> None:
    """Send a test message to each receiver, those of runvitals.toml too, and say what came of it; ends with 1 where one did not take it."""
    from runvitals.watch.try_receivers import try_all

    settings = _settings(home)
    raise typer.Exit(try_all(settings, (*settings.notify, *(notify or ()))))


@app.command(epilog="Example: [bold]runvitals dashboard --host 0.0.0.0 --port $PORT[/bold]")
def dashboard(
    home: Home = None, host: Host = "127.0.0.1", port: Port = 8501, allowed_host: AllowedHosts = None
) -> None:
    """Serve the dashboard alone; where no watcher is alive it starts one beside it."""
    from runvitals.up import serve_dashboard

    raise typer.Exit(
        serve_dashboard(_settings(home), host=host, port=port, stop=_stop_event(), names=allowed_host or ())
    )


@app.command(
    epilog="Examples: [bold]runvitals runs[/bold] · [bold]runvitals runs trainer:dpo 'lr>1e-5' tag:baseline[/bold]"
)
def runs(
    query: Annotated[
        list[str] | None, typer.Argument(help="What to find, as on the Runs page; quote terms with < or >.")
    ] = None,
    home: Home = None,
) -> None:
    """List runs with status, health, step, first finding and tags."""
    from runvitals.tables import print_runs

    print_runs(_settings(home), " ".join(query or ()))


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
    settings = _settings(home)
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
    epilog="Examples: [bold]runvitals diagnose checkpoint-500[/bold] · "
    "[bold]runvitals diagnose runs/*/trainer_state.json --json[/bold]"
)
def diagnose(
    files: Annotated[
        list[Path], typer.Argument(help="trainer_state.json files, checkpoint folders, or folders of checkpoints.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file, one file a line.")] = False,
    trainer: Annotated[
        str | None, typer.Option("--trainer", help="Kind of the trainer, where the keys of the log do not tell it.")
    ] = None,
    rules_file: Annotated[
        Path | None, typer.Option("--rules", help="A rules file (runvitals.toml) to judge by; without it, our rules.")
    ] = None,
) -> None:
    """Judge finished logs of transformers and TRL with the rules of the watcher.

    Exit code by the worst alert at any time: 0 none or information, 1 warning, 2 critical, 3 a file could not be read.
    """
    from runvitals.diagnose import diagnose_files

    raise typer.Exit(diagnose_files(files, as_json=as_json, trainer=trainer, rules_file=rules_file))


@app.command(
    epilog="Examples: [bold]runvitals rules[/bold] · [bold]runvitals rules loss_spike --project dpo-7b[/bold] · "
    "[bold]runvitals rules --check runvitals.toml[/bold]"
)
def rules(
    name: Annotated[str | None, typer.Argument(help="A rule, to be explained in full.")] = None,
    home: Home = None,
    project: Annotated[str, typer.Option("--project", help="Show what holds for runs of this project.")] = "",
    check: Annotated[
        Path | None, typer.Option("--check", help="Only say whether this rules file is right, and what is wrong where.")
    ] = None,
) -> None:
    """List the rules, or explain one: what it catches, evidence, false alarms, causes, remedies, its numbers.

    Exit code 2 where the rules file has faults.
    """
    import runvitals.rules

    if check is not None:
        raise typer.Exit(runvitals.rules.check(check))
    settings = Settings.from_environment(home=home)
    raise typer.Exit(runvitals.rules.print_rules(settings.rules, name=name, project=project))


@app.command(
    epilog="Examples: [bold]runvitals backtest dpo-7b[/bold] · "
    "[bold]runvitals backtest dpo-7b sft-7b --rules runvitals.toml[/bold]"
)
def backtest(
    runs: Annotated[list[str], typer.Argument(help="Ids or names of stored runs; `runvitals runs` lists them.")],
    rules: Annotated[
        Path | None, typer.Option("--rules", help="Rules file to try; what it changes against our rules is marked.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a run, one run a line.")] = False,
    home: Home = None,
) -> None:
    """Tell what would have fired on stored runs, and when, before rules are switched on."""
    from runvitals.backtest import backtest_runs

    backtest_runs(_settings(home), runs, rules=rules, as_json=as_json)


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

    raise typer.Exit(run_demo(home.absolute(), host=host, port=port, once=once, stop=_stop_event()))


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

    raise typer.Exit(write_report(_settings(home), run, incident=incident, out=out, markdown=markdown))


@bench_app.command("rules", epilog="Example: [bold]runvitals bench rules --runs ./labelled --json[/bold]")
def bench_rules(
    runs: Annotated[
        Path,
        typer.Option("--runs", help="Folder of labelled logs; see docs/scoring.md.", envvar="RUNVITALS_RUNS"),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="The whole comparison as one JSON object.")] = False,
) -> None:
    """Score the rules on labelled runs: what they catch and what they raise wrongly, beside published baselines."""
    from runvitals.bench import bench_rules as score_rules

    score_rules(runs, as_json=as_json)


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

    raise typer.Exit(delete_runs(_settings(home), run, force=force, yes=yes))


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

    raise typer.Exit(collect(_settings(home), older_than=older_than, dry_run=dry_run))


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

    raise typer.Exit(put_away(_settings(home), run, to=to, remove=remove))


@app.command(epilog="Example: [bold]runvitals restore /backup/dpo-beta-0.1-k3v9.parquet[/bold]")
def restore(
    file: Annotated[list[Path], typer.Argument(help="Files that `runvitals archive` wrote.", show_default=False)],
    home: Home = None,
) -> None:
    """Bring archived runs back into the store."""
    from runvitals.housekeeping import bring_back

    raise typer.Exit(bring_back(_settings(home), file))


@app.command(epilog="Examples: [bold]runvitals doctor[/bold] · [bold]runvitals doctor --json[/bold]")
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False, home: Home = None
) -> None:
    """Examine home, store, journals and watchers; say what is wrong and what to do. Exit code 1 where something is."""
    from runvitals.housekeeping import diagnose_home

    raise typer.Exit(diagnose_home(Settings.from_environment(home=home), as_json=as_json))


def _settings(home: Path | None) -> Settings:
    settings = Settings.from_environment(home=home)
    settings.make_home()
    return settings


def _stop_event() -> threading.Event:
    """An event that SIGINT, SIGTERM and SIGHUP (a closed terminal) set, so that every command ends in order."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return stop


def main() -> None:
    """Runs the command line; our own errors become one line and exit status 2."""
    try:
        app()
    except RunvitalsError as error:
        typer.echo(f"runvitals: {error}", err=True)
        sys.exit(2)
