"""The tokens axis: where on it a step stands, by the run's own count of tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from runvitals.store.blocks import heads
from runvitals.store.envelope import Span, gather, reduced
from runvitals.store.types import Floats

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
        """The first step at which at least so many tokens were trained on, as a fraction of steps."""
        if tokens is None or tokens <= self.tokens[0]:
            return None
        if tokens > self.tokens[-1]:
            return float(np.nextafter(self.steps[-1], np.inf))
        index = int(np.searchsorted(self.tokens, tokens, side="left"))
        return self._between(index, tokens)

    def last_step(self, tokens: float | None) -> float | None:
        """The last step at which no more than so many tokens were trained on, as a fraction of steps."""
        if tokens is None or tokens >= self.tokens[-1]:
            return None
        if tokens < self.tokens[0]:
            return float(np.nextafter(self.steps[0], -np.inf))
        index = int(np.searchsorted(self.tokens, tokens, side="right"))
        return self._between(index, tokens)

    def _between(self, index: int, tokens: float) -> float:
        before, after = self.tokens[index - 1], self.tokens[index]
        share = (tokens - before) / (after - before)
        return float(self.steps[index - 1] + share * (self.steps[index] - self.steps[index - 1]))


def token_clock(connection: Connection, run_id: str) -> TokenClock | None:
    """The run's mapping from steps to tokens, None where it logged no token count with a step."""
    known = heads(connection, run_id, TOKEN_KEYS)
    for key in TOKEN_KEYS:
        if key not in known:
            continue
        span = Span(axis="step", start=None, stop=None)
        found = reduced(gather(connection, [known[key]], span, n=KNOTS)[key], span, n=KNOTS)
        steps, counts = found.steps.astype(np.float64), found.last
        kept = np.isfinite(counts)
        if not kept.any():
            continue
        steps, counts = steps[kept], counts[kept]
        order = np.argsort(steps, kind="stable")
        steps, counts = steps[order], np.maximum.accumulate(counts[order])
        # A knot is its bucket's last point; the count at the very first step is the first bucket's lowest.
        steps = np.append(float(known[key].min_step), steps)
        counts = np.append(np.minimum(found.low[kept][order][0], counts[0]), counts)
        last = np.append(steps[1:] > steps[:-1], True)
        return TokenClock(steps[last], counts[last])
    return None
