"""A chart's exact points as a CSV file that the browser fetches: every point of the range in view, no envelope, no rounding."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from streamlit.runtime import get_instance

from runvitals.dashboard.live_charts import Feed, Want
from runvitals.dashboard.sights import Span, spans_of
from runvitals.store import Store
from runvitals.store.levels import kinds_of
from runvitals.store.types import SeriesPoints

HEADER = ("run", "run_id", "key", "step", "time_s", "value")
_NOT_FINITE = {1: "NaN", 2: "Inf", 4: "-Inf", 8: "None"}
_NAME_LENGTH = 120
_NONE: Mapping[str, Span] = MappingProxyType({})
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def offer_csv(
    store: Store, feed: Feed, told: object, *, beside: Sequence[Want] = (), beside_spans: Mapping[str, Span] = _NONE
) -> None:
    """Puts the points that a browser asks for where it can fetch them, and has its page told. Does nothing where it asks illegibly.

    beside: series that the chart shows and the feed does not send, with their own ranges where the browser asks for one.
    """
    if not isinstance(told, Mapping) or not isinstance(told.get("series"), Sequence):
        return
    asked = {str(one["id"]) for one in told["series"] if isinstance(one, Mapping) and "id" in one}
    wants = [want for want in (*feed.wants, *beside) if want.id in asked]
    if not wants:
        return
    spans = None if told.get("spans") is None else {**spans_of(told["spans"]), **beside_spans}
    text = points_csv(store, wants, spans)
    name = f"{_file_name(str(told.get('name', '')))}.csv"
    files = get_instance().media_file_mgr
    url = files.add(text.encode(), "text/csv", "runvitals.csv", file_name=name, is_for_static_download=True)
    feed.offer({"id": str(told.get("id", "")), "name": name, "url": url})


def points_csv(store: Store, wants: Iterable[Want], spans: Mapping[str, Span] | None) -> str:
    """One line a point: run, run id, key, step (empty where the row had none), seconds since 1970, value with every digit it has.

    spans: clock → range; without them the whole run. A series without a range in them is left out.
    """
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(HEADER)
    names: dict[str, str] = {}
    for want in wants:
        span = None if spans is None else spans.get(want.clock)
        if spans is not None and span is None:
            continue
        name = names.setdefault(want.run_id, _plain(store.run(want.run_id).name))
        for step, time_s, value in _rows(_points(store, want, span)):
            table.writerow((name, want.run_id, _plain(want.key), step, time_s, value))
    return out.getvalue()


def _points(store: Store, want: Want, span: Span | None) -> SeriesPoints:
    axis, zero = ("time", want.zero_s) if want.timed else ("step", 0.0)
    if span is None:
        return store.read(want.run_id, want.key, axis=axis)  # type: ignore[arg-type]
    start, stop = (span.start_s, span.stop_s) if want.timed else (span.start, span.stop)
    return store.read(want.run_id, want.key, start=zero + start, stop=zero + stop, axis=axis)  # type: ignore[arg-type]


def _rows(points: SeriesPoints) -> Iterable[tuple[Any, float, Any]]:
    kinds = kinds_of(points.values).tolist()
    for step, time_s, value, kind in zip(
        points.steps.tolist(), points.times_s.tolist(), points.values.tolist(), kinds, strict=True
    ):
        yield "" if step < 0 else step, time_s, _NOT_FINITE[kind] if kind else repr(value)


def _plain(text: str) -> str:
    """Text that a spreadsheet takes for text: names come from runs, and one that begins like a formula would be run."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _file_name(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in text)[:_NAME_LENGTH] or "chart"
