"""Commands of the rules: what they are, what they say of logs and runs, how well they do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runvitals.commands.options import Home, settings_of
from runvitals.settings import Settings

app = typer.Typer()
bench_app = typer.Typer(help="Measure runvitals itself.", no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(bench_app, name="bench")


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

    backtest_runs(settings_of(home), runs, rules=rules, as_json=as_json)


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
