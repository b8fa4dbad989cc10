"""The tokens axis: where on it a step stands, by the run's own count of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from runvitals.store.blocks import SeriesHead, heads
from runvitals.store.envelope import reduced
from runvitals.store.gather import gather
from runvitals.store.span import Span
from runvitals.store.types import Floats, Generation

TOKEN_KEYS = ("tokens", "num_tokens", "num_input_tokens_seen")
"""Where a run's token count may stand: ours, TRL's, transformers'. The first that the run has is used."""

KNOTS = 4096
"""Knots of the mapping from steps to tokens; between them tokens are taken to grow evenly."""


@dataclass(frozen=True, slots=True)
class TokenClock:
    """Tokens against steps. steps: (k,) increasing; tokens: (k,) not decreasing."""

    steps: Floats
    tokens: Floats

    def tokens_at(self, steps: Floats) -> Floats:
        """Tokens trained on at each step; the ends' counts outside the knots."""
        return np.interp(steps, self.steps, self.tokens)

    def first_step(self, tokens: float | None) -> float | None:
        """The first step at which at least so many tokens were trained on, as a fraction of steps; inf where none was."""
        if tokens is None or tokens <= self.tokens[0]:
            return None
        if tokens > self.tokens[-1]:
            return np.inf
        index = int(np.searchsorted(self.tokens, tokens, side="left"))
        return self._between(index, tokens)

    def last_step(self, tokens: float | None) -> float | None:
        """The last step at which no more than so many tokens were trained on, as a fraction of steps; -inf where none was."""
        if tokens is None or tokens >= self.tokens[-1]:
            return None
        if tokens < self.tokens[0]:
            return -np.inf
        index = int(np.searchsorted(self.tokens, tokens, side="right"))
        return self._between(index, tokens)

    def _between(self, index: int, tokens: float) -> float:
        before, after = self.tokens[index - 1], self.tokens[index]
        share = (tokens - before) / (after - before)
        return float(self.steps[index - 1] + share * (self.steps[index] - self.steps[index - 1]))


def token_clock(connection: Connection, run_id: str) -> TokenClock | None:
    """The run's mapping from steps to tokens, None where it logged no token count with a step.

    Where steps went back, the newest generation says it; beyond its last step, those that it has not reached again.
    """
    known = heads(connection, run_id, TOKEN_KEYS)
    for key in TOKEN_KEYS:
        if key not in known:
            continue
        steps, counts = _knots(connection, known[key], "current")
        if known[key].rewinds:
            more, further = _knots(connection, known[key], "superseded")
            beyond = more > steps[-1] if steps.size else np.ones(more.size, bool)
            steps, counts = np.append(steps, more[beyond]), np.append(counts, further[beyond])
        if not steps.size:
            continue
        last = np.append(steps[1:] > steps[:-1], True)
        return TokenClock(steps[last], np.maximum.accumulate(counts)[last])
    return None


def _knots(connection: Connection, head: SeriesHead, generation: Generation) -> tuple[Floats, Floats]:
    """Steps in order, and the count at each, not decreasing; none where the generation holds no finite count."""
    span = Span(axis="step", start=None, stop=None)
    found = gather(connection, [head], span, n=KNOTS, generation=generation).get(head.key)
    if found is None:
        return np.empty(0), np.empty(0)
    drawn = reduced(found, span, n=KNOTS)
    kept = np.flatnonzero(np.isfinite(drawn.last))
    order = kept[np.argsort(drawn.steps[kept], kind="stable")]
    steps, counts = drawn.steps[order].astype(np.float64), np.maximum.accumulate(drawn.last[order])
    if generation == "current" and steps.size:
        # A knot is its bucket's last point; the count at the very first step is the first bucket's lowest.
        steps = np.append(float(head.min_step), steps)
        counts = np.append(np.minimum(drawn.low[order][0], counts[0]), counts)
    return steps, counts
