"""One training as we see it: from the moment it begins to the moment it ends, event by event."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from runvitals.collectors.records import Phase
from runvitals.trainers.completions import Answers, Rollouts
from runvitals.trainers.corrections import corrected, ppo_factor
from runvitals.trainers.forward import ForwardClock
from runvitals.trainers.gradients import GradientWatch
from runvitals.trainers.guard import Guard
from runvitals.trainers.kinds import Kind
from runvitals.trainers.logs import is_evaluation, is_summary, samples_per_step, tokens_so_far, with_learning_rate
from runvitals.trainers.probe import MarginProbe
from runvitals.trainers.probing import CHECKPOINT_KEY
from runvitals.trainers.timing import Rate, StepTimer
from runvitals.trainers.unwrap import unwrap_policy

PHASE_WORTH_TELLING_S = 1.0
"""Heartbeats come every two seconds: a generation phase that is much shorter would never be seen in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What stays the same while a training runs. operations_per_token: floating-point operations, None where unknown."""

    kind: Kind
    arguments: Any
    optimizer: Any
    operations_per_token: float | None = None


class Session:
    """Turns a trainer's events into rows, events and phases of a run. Built at `on_train_begin`, dropped at the end.

    probe: None, or a probe that has its reference. answers, rollouts: where completions are told. forward: where several processes train.
    """

    def __init__(
        self,
        run: Any,
        training: Training,
        state: Any,
        *,
        guard: Guard,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.run, self._training, self._guard, self._clock = run, training, guard, clock
        self.probe: MarginProbe | None = None
        self.answers: Answers | None = None
        self.rollouts: Rollouts | None = None
        self.forward: ForwardClock | None = None
        self._own_loop = training.kind == "ppo"
        self._factor = ppo_factor(training.arguments) if self._own_loop else 1.0
        self._samples = samples_per_step(training.arguments, training.kind)
        self._gradients: GradientWatch | None = None
        self._timer, self._tokens = StepTimer(), Rate()
        self._ended_step: int = state.global_step
        self._evaluation_s = 0.0
        self._phase: Phase = "init"
        if self._own_loop and training.optimizer is not None:
            self._gradients = GradientWatch(training.optimizer, guard, stepping=self._updating)
        if state.global_step == 0:
            self._tokens.per_s(0.0, 0.0)

    def begin(self) -> None:
        """Training starts now; whatever we prepared before does not count."""
        self._enter("generate" if self._own_loop else "train")
        self._timer.start(self._clock())

    def step_begin(self) -> None:
        """A batch is there."""
        self._timer.begin(self._clock())

    def optimizer_begin(self) -> None:
        """The gradient is there, and clipped; the optimiser steps."""
        self._timer.optimizer_begin(self._clock())

    def optimizer_end(self) -> None:
        """The optimiser has stepped."""
        self._timer.optimizer_end(self._clock())

    def _updating(self) -> None:
        """An optimiser step of a trainer's own loop begins: what it learns from has been generated and scored."""
        self._timer.generated(self._clock())
        self._enter("train")

    def step_end(self, state: Any, control: Any, model: Any) -> None:
        """A step is done: its time is logged, and the margin is read where it is due."""
        step = self._ended_step = state.global_step
        took = self._timer.end(self._clock())
        if took is not None and self.forward is not None:
            took = replace(took, forward_time_s=self.forward.take())
        if took is not None:
            self.run.log(took.row(self._samples), step=step)
        if self.probe is not None and self.probe.due(self._timer.training_s):
            self.read_margin(model, step)
        if self.answers is not None and self.answers.due(self._timer.training_s):
            self.ask(model, step)
        if control.should_save and not control.should_evaluate:
            self._enter("save")
        elif self._own_loop and took is not None and took.step_time_s > PHASE_WORTH_TELLING_S:
            self._enter("generate")
        self._timer.pause(self._clock())

    def read_margin(self, model: Any, step: int) -> None:
        """One reading of the probe, as a row. A probe that fails once is not asked again: out of memory comes back."""
        if self.probe is not None:
            self._guard.call("probe", partial(self._read, self.probe, model, step), tolerated=1)

    def _read(self, probe: MarginProbe, model: Any, step: int) -> None:
        self.run.log(probe.read(unwrap_policy(model), step).row(), step=step)

    def ask(self, model: Any, step: int) -> None:
        """The policy answers the held-out prompts. One failure is the last, as with the probe."""
        if self.answers is not None:
            self._guard.call("completions", partial(self._ask, self.answers, model, step), tolerated=1)

    def _ask(self, answers: Answers, model: Any, step: int) -> None:
        self._tell(answers.read(unwrap_policy(model), step), "held-out", step)

    def _tell(self, rows: list[dict[str, Any]], source: str, step: int) -> None:
        if rows:
            self.run.event("completions", {"source": source, "rows": rows}, step=step)

    def log(self, state: Any, logs: Mapping[str, Any]) -> None:
        """The trainer logged something."""
        if is_summary(logs):
            self.run.event("summary", dict(logs), step=state.global_step)
        elif is_evaluation(logs):
            self.run.log(dict(logs), step=state.global_step)
        else:
            self.run.log(self._training_row(state, logs), step=state.global_step)
            rollouts, step = self.rollouts, state.global_step
            if rollouts is not None and rollouts.due(step):
                self._guard.call("rollouts", lambda: self._tell(rollouts.read(step), "rollout", step))
        if state.global_step == self._ended_step:  # PPO logs before its step has ended: that is no pause
            took_s = self._timer.pause(self._clock())
            self._evaluation_s += took_s if is_evaluation(logs) else 0.0

    def _training_row(self, state: Any, logs: Mapping[str, Any]) -> dict[str, Any]:
        row = with_learning_rate(logs, self._training.optimizer)
        if self._gradients is not None and "grad_norm" not in row:
            norm = self._gradients.take()
            if norm is not None:
                row["grad_norm"] = norm
        row.update(corrected(logs, self._factor))
        tokens = tokens_so_far(logs, state, self._training.operations_per_token)
        if tokens is not None:
            row["tokens"] = tokens
            rate = self._tokens.per_s(tokens, self._timer.training_s)
            if rate is not None:
                row["perf/tokens_per_s"] = rate
        return row

    def evaluating(self) -> None:
        """An evaluation or prediction is under way; called for each of its batches."""
        self._enter("eval")

    def evaluated(self, state: Any, control: Any) -> None:
        """An evaluation has ended."""
        self.run.event("eval", {}, step=state.global_step)
        # An evaluation logs before it ends, which the timer takes for the end of a pause.
        took_s, self._evaluation_s = self._evaluation_s + self._timer.pause(self._clock()), 0.0
        self._tell_pause("perf/eval_time_s", took_s, state.global_step)
        self.resumed(saving=control.should_save)

    def saved(self, state: Any) -> None:
        """A checkpoint has been written."""
        path = f"{self._training.arguments.output_dir}/checkpoint-{state.global_step}"
        self.run.event("checkpoint", {"path": path}, step=state.global_step)
        self._tell_pause("perf/save_time_s", self._timer.pause(self._clock()), state.global_step)
        self.resumed(saving=False)

    def _tell_pause(self, key: str, took_s: float, step: int) -> None:
        """Logs what took time beside the steps; nothing where no time of it is known."""
        if took_s > 0:
            self.run.log({key: took_s}, step=step)

    def resumed(self, *, saving: bool) -> None:
        """Training goes on, or a checkpoint is written first."""
        self._enter("save" if saving else "train")
        self._timer.pause(self._clock())

    def keep_in_checkpoints(self, state: Any, origin: Mapping[str, Any]) -> None:
        """Puts what a resumed run needs where the trainer writes it into its checkpoints.

        Not as transformers' ExportableState: that builds a new callback from its saved arguments on resume, and our run with it.
        """
        kept = {**origin, "probe": self.probe.state() if self.probe is not None else {}}
        state.stateful_callbacks[CHECKPOINT_KEY] = {"args": {}, "attributes": kept}

    def end(self, state: Any, model: Any) -> None:
        """Training has ended well: the last margin is read, unless the weights are no longer those of the last step."""
        best_loaded = getattr(self._training.arguments, "load_best_model_at_end", False)
        if self.probe is not None and self.probe.last_step != state.global_step and not best_loaded:
            self.read_margin(model, state.global_step)
        if self.answers is not None and self.answers.last_step != state.global_step and not best_loaded:
            self.ask(model, state.global_step)
        self.close()

    def close(self) -> None:
        """Takes our hooks away; the run is its owner's."""
        if self._gradients is not None:
            self._gradients.remove()
        if self.forward is not None:
            self.forward.remove()

    def _enter(self, phase: Phase) -> None:
        if phase != self._phase:
            self._phase = phase
            self.run.phase(phase)
