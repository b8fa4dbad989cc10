"""Makes the report of a run or of one incident: as one HTML file, or as Markdown with its charts beside it."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field

from runvitals import __version__
from runvitals.dashboard.formatter import count
from runvitals.dashboard.report.charts_part import charts_part, file_word
from runvitals.dashboard.report.document import Block, Bold, Code, Document, Heading, Paragraph, Quiet
from runvitals.dashboard.report.gather import Gathered, Progress, gather
from runvitals.dashboard.report.html_page import html_page
from runvitals.dashboard.report.incident_part import incident_part
from runvitals.dashboard.report.markdown_page import markdown_page
from runvitals.dashboard.report.moment import moment
from runvitals.dashboard.report.run_part import course_part, devices_part, facts_part, judged_part, notes_part
from runvitals.dashboard.report.settings_part import settings_part, surroundings_part
from runvitals.dashboard.verdicts import title_of
from runvitals.diagnostics.user_rules.user_rules import UserRules
from runvitals.store import Store

_OURS = UserRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report. name: of the file, without a folder. pictures: for Markdown, charts by name, to lie in the folder `charts`."""

    name: str
    text: str
    charts: str = ""
    pictures: dict[str, str] = field(default_factory=dict)


def _quiet(done: int, of: int) -> None:
    """Tells nobody."""


def html_report(
    store: Store,
    run_id: str,
    *,
    incident_id: str | None = None,
    rules: UserRules = _OURS,
    now_s: float,
    progress: Progress = _quiet,
) -> Report:
    """The report as one HTML file. Raises UnknownRun, and SettingsError where the run has no such incident.

    rules: the user's, by which the margin is judged. progress: told how many of how many curves have been read.
    """
    found = gather(store, run_id, incident_id=incident_id, rules=rules, now_s=now_s, progress=progress)
    return Report(name=f"{stem(found)}.html", text=html_page(document(found)))


def markdown_report(
    store: Store,
    run_id: str,
    *,
    incident_id: str | None = None,
    rules: UserRules = _OURS,
    now_s: float,
    charts: str | None = None,
    progress: Progress = _quiet,
) -> Report:
    """The same as Markdown. charts: the folder of its pictures, as seen from the file's own; `<name>-charts` without it."""
    found = gather(store, run_id, incident_id=incident_id, rules=rules, now_s=now_s, progress=progress)
    folder = charts if charts is not None else f"{stem(found)}-charts"
    text, pictures = markdown_page(document(found), charts=folder)
    return Report(name=f"{stem(found)}.md", text=text, charts=folder, pictures=pictures)


def stem(found: Gathered) -> str:
    """What the file is called, without its ending: the run's name, and the rule of the incident's root cause."""
    words = [file_word(found.run.name), *([file_word(found.incident.root.rule)] if found.incident else []), "report"]
    return "-".join(words)


def document(found: Gathered) -> Document:
    """The report's blocks in their order: what is wrong first."""
    run, incident = found.run, found.incident
    title = f"{title_of(incident.root)} · {run.name}" if incident is not None else run.name
    kind = "Incident report" if incident is not None else "Run report"
    head: list[Block] = [
        Heading(1, [title]),
        Paragraph(
            [
                Quiet(f"{kind} · {run.trainer or 'no trainer told'} · project "),
                run.project,
                Quiet(" · run "),
                Code(run.id),
            ]
        ),
        *facts_part(found),
    ]
    blocks = [
        *head,
        *_findings(found),
        *charts_part(found),
        *(_judged(found) if incident is None and found.all_incidents else []),
        *course_part(found),
        *(devices_part(found) if incident is None else []),
        *notes_part(found),
        *settings_part(run),
        *surroundings_part(run),
        *_made(found),
    ]
    return Document(title=f"{title} · runvitals report", blocks=blocks)


def _findings(found: Gathered) -> list[Block]:
    run = found.run
    if found.incident is not None:
        return incident_part(
            found.incident, found.first_moves.get(found.incident.root.incident), color=run.color, level=2
        )
    many = len(found.all_incidents)
    if not many:
        return [Heading(2, ["Findings"]), Paragraph([Bold("No alert has fired.")]), *judged_part(found)]
    open_now = sum(one.state != "resolved" for one in found.all_incidents)
    told = f"{count(many)} incident{'s' if many > 1 else ''}, {count(open_now)} not resolved."
    left = many - len(found.incidents)
    blocks: list[Block] = [
        Heading(2, ["Findings"]),
        Paragraph([told, Quiet(f" The {count(left)} least severe are left out." if left else "")]),
    ]
    for one in found.incidents:
        blocks += incident_part(one, found.first_moves.get(one.root.incident), color=run.color, level=2)
    return blocks


def _judged(found: Gathered) -> list[Block]:
    return [Heading(2, ["What was judged"]), *judged_part(found)]


def _made(found: Gathered) -> list[Block]:
    points = sum(latest.count for latest in found.keys.values())
    incident = f" --incident {found.incident.root.incident}" if found.incident is not None else ""
    words = (
        f"Made {moment(found.now_s)} by runvitals {__version__} (Python {platform.python_version()}) from {count(points)} stored values "
        f"of {count(len(found.keys))} series ({found.store_kind}). Curves show at most a few hundred places each; no spike and no value that is not a "
        "number is left out. Settings and texts that look like secrets are hidden; read it before it leaves the house all the same. Times are UTC. Again: "
    )
    return [
        Heading(2, ["How this was made"]),
        Paragraph([Quiet(words), Code(f"runvitals report {found.run.id}{incident}")]),
    ]
