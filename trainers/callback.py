"""The callback: one class for transformers.Trainer and every TRL trainer, PPO's own loop included.

    trainer = DPOTrainer(..., callbacks=[runvitals.Callback("dpo-7b", project="helpful")])

It only listens. Every hook is guarded: whatever fails on our side becomes a `fault` event, and training goes on as if we were not there.
See docs/training.md for what is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from weakref import WeakSet

from transformers import TrainerCallback

from runvitals.collectors.run_ids import checked_run_id
from runvitals.trainers import notebook
from runvitals.trainers.abandoned import Whereabouts
from runvitals.trainers.completions import Answers, Rollouts, keeps_rollouts
from runvitals.trainers.description import describe_arguments, describe_model, versions
from runvitals.trainers.forward import ForwardClock, forward_clock
from runvitals.trainers.guard import Guard, guarded
from runvitals.trainers.kinds import class_name, find_trainer, kind_of_arguments, trainer_kind
from runvitals.trainers.logs import is_summary, operations_per_token
from runvitals.trainers.meeting import WAIT_S, Address, Meeting, join, next_meeting
from runvitals.trainers.pairs import checked_pairs
from runvitals.trainers.probe import DEFAULT_BUDGET, why_not
from runvitals.trainers.probing import (
    build_probe,
    checked_budget,
    describe_probe,
    find_reference,
    kept_in_checkpoint,
    length_limit,
)
from runvitals.trainers.rank_session import RankSession
from runvitals.trainers.runs import begin_run, run_name, run_to_continue, users_run
from runvitals.trainers.session import Session, Training
from runvitals.trainers.unwrap import unwrap_model, unwrap_policy
from runvitals.trainers.wandb_alerts import WandbAlerts

_log = logging.getLogger("runvitals")

ANSWERS_SHARE = 0.25
"""Of the probe's budget: generating costs more than reading, and is looked at less."""

_recording: WeakSet[Callback] = WeakSet()
"""Callbacks whose training has begun and not ended."""


class Callback(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Logs a training to runvitals.

    name: of the run; default: the arguments' run_name, else the last part of output_dir.
    run: a run to log to, which then stays its owner's to finish; default: the one that `runvitals.init` began, else a new one for each
        `train()`, finished with it. Training resumed from a checkpoint goes on in the run that wrote it, if project and name are the same.
    resume: the id of a run to go on with, where the callback begins it; overrules what a checkpoint says.
    config: settings of your own, beside the trainer's arguments.
    tags, group, description: of the run that the callback begins, as `runvitals.init` takes them.
    pairs: held-out preference pairs, each {"prompt", "chosen", "rejected"} of plain text or of messages; they switch the margin probe on,
        and the policy's answers to the first of their prompts.
    probe_budget: share of the training time that the probe and the answers together may take.
    wandb_alerts: passes alerts that a watcher hands back on to the W&B run of this process; see docs/notifications.md.

    Raises SettingsError for pairs or a budget that cannot be used. World process zero logs the training; each of the others logs its own times,
    and one process of each host what its machine does, into the same run.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        project: str = "default",
        run: Any | None = None,
        resume: str | None = None,
        config: Mapping[str, Any] | None = None,
        tags: str | Iterable[str] = (),
        group: str = "",
        description: str = "",
        pairs: Iterable[Mapping[str, Any]] | None = None,
        probe_budget: float = DEFAULT_BUDGET,
        wandb_alerts: bool = False,
    ) -> None:
        self._name, self._project, self._given, self._config = name, project, run, dict(config or {})
        self._labels = {"tags": tags, "group": group, "description": description}
        self._pairs = checked_pairs(pairs) if pairs is not None else None
        self._budget = checked_budget(probe_budget)
        self._resume = None if resume is None else checked_run_id(resume, "resume")
        self._wants_wandb_alerts = wandb_alerts
        self._wandb_alerts: WandbAlerts | None = None
        self._session: Session | RankSession | None = None
        self._meeting: Meeting | None = None
        self._ours = True
        self._unwatch: Callable[[], None] | None = None
        self._whereabouts: Whereabouts | None = None
        self.guard = Guard(self._report)

    @guarded("begin")
    def on_train_begin(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        self._leave_behind()  # the training before this one never came to its end
        for other in list(_recording):
            if other._whereabouts is not None and other._whereabouts.left():
                other._leave_behind()
        self.guard = Guard(self._report)
        self._meeting = self.guard.call("ranks", next_meeting)
        trainer = self.guard.call("trainer", find_trainer)
        if not state.is_world_process_zero:
            self.guard.call("ranks", partial(self._join, trainer, args, state, found))
            return
        try:
            self._begin(trainer, args, state, found)
        finally:
            self._tell(None)  # where it could not begin: nobody need wait

    def _begin(self, trainer: Any, args: Any, state: Any, found: Mapping[str, Any]) -> None:
        """World process zero begins to record."""
        kind = trainer_kind(type(trainer)) if trainer is not None else kind_of_arguments(type(args))
        model = unwrap_policy(found.get("model"))
        training = Training(
            kind=kind,
            arguments=args,
            optimizer=found.get("optimizer"),
            operations_per_token=self.guard.call("operations", partial(operations_per_token, trainer, model)),
        )
        run = self._begin_run(args, kept_in_checkpoint(state))
        self._tell(run)
        self._session = session = Session(run, training, state, guard=self.guard)
        session.forward = self.guard.call("forward", partial(self._forward_clock, trainer, args, found))
        self.guard.call("whereabouts", partial(self._keep_track, run, trainer))
        told = {"kind": kind, "max_steps": state.max_steps, "class": class_name(trainer), "versions": versions()}
        run.event("trainer", told, step=state.global_step)
        described = self.guard.call("description", partial(describe_model, model))
        run.event("config", {"model": described}, step=state.global_step)
        if state.global_step > 0:
            run.event("resume", {"from_step": state.global_step}, step=state.global_step)
        prepare = partial(self._prepare_probe, session, trainer, kind, args=args, state=state, found=found)
        self.guard.call("probe", prepare, tolerated=1)
        self.guard.call("completions", partial(self._prepare_completions, session, trainer, kind, args, state, found))
        origin = {"run_id": run.id, "project": self._project, "name": run_name(self._name, args)}
        self.guard.call("checkpoints", partial(session.keep_in_checkpoints, state, origin))
        self.guard.call("notebook", self._watch_cell)
        if self._wants_wandb_alerts:
            self._wandb_alerts = self.guard.call("wandb alerts", partial(WandbAlerts, run, self.guard), tolerated=1)
        session.begin()

    def _tell(self, run: Any | None) -> None:
        """Tells the other processes which run it is."""
        if self._meeting is not None:
            self.guard.call("ranks", partial(self._meeting.tell, run))

    def _join(self, trainer: Any, args: Any, state: Any, found: Mapping[str, Any]) -> None:
        """Another process begins to record, where process zero does."""
        address = None if self._meeting is None else self._meeting.ask(wait_s=WAIT_S)
        if address is not None:
            self._record_rank(address, trainer, args, state, found)

    def _join_late(self, args: Any, state: Any, found: Mapping[str, Any]) -> None:
        """The same where process zero was not there in time: it was held up by something that came before us."""
        address = None if self._meeting is None else self._meeting.ask_again()
        if address is not None:
            self._record_rank(address, find_trainer(), args, state, found)

    def _record_rank(self, address: Address, trainer: Any, args: Any, state: Any, found: Mapping[str, Any]) -> None:
        there = self._users_run()
        self._ours = there is None or there.id != address.run_id
        run = join(address) if self._ours else there
        forward = self.guard.call("forward", partial(self._forward_clock, trainer, args, found))
        self._session = RankSession(run, state, forward)
        self.guard.call("whereabouts", partial(self._keep_track, run, trainer))
        self._session.begin()

    def _forward_clock(self, trainer: Any, args: Any, found: Mapping[str, Any]) -> ForwardClock | None:
        """A clock for forward passes, where there are other ranks to compare with."""
        if self._meeting is None:
            return None
        compiles = getattr(args, "torch_compile", False) or hasattr(
            getattr(trainer, "model_wrapped", None), "_orig_mod"
        )
        return forward_clock(unwrap_model(found.get("model")), self.guard, compiles=compiles)

    @guarded("steps")
    def on_step_begin(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        if self._session is None and self._meeting is not None and not state.is_world_process_zero:
            self.guard.call("ranks", partial(self._join_late, args, state, found))
        if self._session is not None:
            self._session.step_begin()

    @guarded("steps")
    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        if self._session is not None:
            self._session.optimizer_begin()

    @guarded("steps")
    def on_optimizer_step(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        if self._session is not None:
            self._session.optimizer_end()

    @guarded("steps")
    def on_step_end(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        if self._session is not None:
            self._session.step_end(state, control, found.get("model"))

    @guarded("rows")
    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **found: Any) -> None:
        if not logs:
            return
        if self._session is not None:
            self._session.log(state, logs)
        elif not is_summary(logs):
            run = self._run_outside(state)
            if run is not None:
                run.log(dict(logs), step=state.global_step)

    @guarded("events")
    def on_prediction_step(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        if self._session is not None:
            self._session.evaluating()

    @guarded("events")
    def on_evaluate(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        if self._session is not None:
            self._session.evaluated(state, control)
            return
        run = self._run_outside(state)
        if run is not None:
            run.event("eval", {}, step=state.global_step)

    @guarded("events")
    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any, **found: Any) -> None:
        if self._session is not None:
            self._session.resumed(saving=False)

    @guarded("events")
    def on_save(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        if self._session is not None:
            self._session.saved(state)

    @guarded("end")
    def on_train_end(self, args: Any, state: Any, control: Any, **found: Any) -> None:
        session = self._session
        if session is not None:
            session.end(state, found.get("model"))
            self._abandon("finished")

    def _run_outside(self, state: Any) -> Any | None:
        """The run that takes what comes while no training is under way: the user's own, as a run of ours has ended with its training."""
        return self._users_run() if state.is_world_process_zero else None

    def _users_run(self) -> Any | None:
        return self._given if self._given is not None else users_run()

    def _keep_track(self, run: Any, trainer: Any | None) -> None:
        if self._ours:
            run.in_training = True
        _recording.add(self)
        if trainer is not None:
            self._whereabouts = Whereabouts(trainer, run.abandon if self._ours else nothing)

    def _leave_behind(self) -> None:
        """Ends the training that is still open here, with the exception that ended it where that can be known."""
        error = self._whereabouts.error() if self._whereabouts is not None else None
        if self._session is not None and error is not None and self._ours:
            self._session.run.note_exception(error)
        self._abandon("crashed")

    def _begin_run(self, args: Any, kept: Mapping[str, Any]) -> Any:
        config = {**describe_arguments(args), **self._config}
        there = self._users_run()
        self._ours = there is None
        if there is not None:
            there.event("config", config)
            return there
        name = run_name(self._name, args)
        run_id = self._resume or run_to_continue(kept, self._project, name)
        return begin_run(self._project, name, config, labels=self._labels, run_id=run_id)

    def _prepare_probe(
        self, session: Session, trainer: Any, kind: str, *, args: Any, state: Any, found: Mapping[str, Any]
    ) -> None:
        if self._pairs is None:
            return
        policy = unwrap_policy(found.get("model"))
        probe = build_probe(
            self._pairs,
            found.get("processing_class"),
            args,
            policy=policy,
            kind=kind,
            budget=(1 - ANSWERS_SHARE) * self._budget,
        )
        reason = probe if isinstance(probe, str) else find_reference(probe, policy, trainer, state)
        if reason is not None or isinstance(probe, str):
            session.run.event("absent", {"what": "margin probe", "why": reason}, step=state.global_step)
            return
        session.probe = probe
        session.run.event("config", {"probe": describe_probe(probe)}, step=state.global_step)
        session.read_margin(found.get("model"), state.global_step)

    def _prepare_completions(
        self, session: Session, trainer: Any, kind: str, args: Any, state: Any, found: Mapping[str, Any]
    ) -> None:
        if keeps_rollouts(trainer):
            session.rollouts = Rollouts(trainer, steps=state.max_steps)
        policy = unwrap_policy(found.get("model"))
        processing_class = found.get("processing_class")
        if self._pairs is None or processing_class is None or why_not(policy, kind) is not None:
            return
        tokenizer = getattr(processing_class, "tokenizer", processing_class)
        answers = Answers(self._pairs, tokenizer, budget=ANSWERS_SHARE * self._budget, limit=length_limit(args, policy))
        if answers.count:
            session.answers = answers
            session.ask(found.get("model"), state.global_step)

    def _watch_cell(self) -> None:
        shell = notebook.shell()
        if shell is not None:
            self._unwatch = notebook.when_cell_fails(shell, self._cell_failed)

    def _cell_failed(self, error: BaseException) -> None:
        self.guard.call("end", partial(self._end_by, error))

    def _end_by(self, error: BaseException) -> None:
        if self._session is not None:
            self._session.run.note_exception(error)
            self._abandon("stopped" if isinstance(error, KeyboardInterrupt) else "crashed")

    def _abandon(self, status: str) -> None:
        """Lets go of the session, if there is one, and ends its run with `status`, if it is ours."""
        session, self._session = self._session, None
        _recording.discard(self)
        if self._whereabouts is not None:
            self._whereabouts.forget()
            self._whereabouts = None
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        if self._wandb_alerts is not None:
            self._wandb_alerts.close()
            self._wandb_alerts = None
        if session is not None:
            session.close()
            if self._ours:
                session.run.finish(status)

    def _report(self, fault: dict[str, Any]) -> None:
        _log.warning("runvitals: %(where)s failed, training goes on: %(message)s", fault)
        if self._session is not None:
            self._session.run.event("fault", fault)


def nothing() -> None:
    """Nothing: a run of the user's own is the user's to end."""
