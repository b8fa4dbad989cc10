"""Whether held-out margins of several runs are one yardstick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runvitals.dashboard.compare_read import Member

_YARDSTICK = (("pairs_digest", "pairs"), ("pairs", "number of pairs"), ("beta", "beta"), ("reference", "reference"))


def yardstick_of(members: Sequence[Member], chosen: Mapping[int, str]) -> str:
    """Whether the held-out margins are measured alike: same pairs, beta and reference. "" where the margin is not the probe's."""
    if len(chosen) < 2 or set(chosen.values()) != {"probe_margin"}:
        return ""
    probes = [members[place].run.config.get("probe") for place in chosen]
    told = [probe if isinstance(probe, Mapping) else {} for probe in probes]
    unlike = [
        word
        for name, word in _YARDSTICK
        if len({str(probe[name]) for probe in told if probe.get(name) is not None}) > 1
    ]
    if unlike:
        return f"not one yardstick: the probes differ in {' and '.join(dict.fromkeys(unlike))}"
    pairs = {probe.get("pairs") for probe in told}
    if len(pairs) != 1 or None in pairs:
        return ""
    if all(probe.get("pairs_digest") for probe in told):
        return f"one yardstick: the same {pairs.pop()} pairs for all runs"
    return f"{pairs.pop()} pairs each"
