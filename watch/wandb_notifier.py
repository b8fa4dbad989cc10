"""Hands alerts back to the process that trains, which passes them on to its W&B run (`Callback(wandb_alerts=True)`)."""

from __future__ import annotations

from pathlib import Path

from runvitals.collectors.handed_back import HandedBack, file_for, hand_back
from runvitals.watch.message import Message
from runvitals.watch.notify import TAKEN, Answer
from runvitals.watch.routes import EVERYTHING, Route

SCHEME = "wandb"


class WandbNotifier:
    """The W&B runs of the trainings whose journals lie here. routes: see Notifier."""

    receiver = SCHEME
    label = "W&B run"

    def __init__(self, journals: Path, *, routes: tuple[Route, ...] = EVERYTHING) -> None:
        self.routes = routes
        self._journals = journals

    def send(self, message: Message) -> Answer:
        """Taken where it is handed back; also where the training has ended, whose W&B run takes no more."""
        run_id = message.about.run_id
        if not run_id or not (self._journals / run_id).is_dir():
            return TAKEN
        alert = HandedBack(severity=message.severity, title=message.title, text=message.body)
        try:
            hand_back(file_for(self._journals, run_id), alert)
        except OSError as error:
            return Answer(problem=f"its file cannot be written ({error.strerror})")
        return TAKEN
