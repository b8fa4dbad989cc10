"""Going from page to page."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from runvitals.store import Store


def test_words_that_a_link_carries_besides_do_not_break_it(app: AppTest, watched: Store) -> None:
    app.query_params["run"] = watched.runs()[0].id
    app.query_params["page"] = "1"
    app.run()
    assert not app.exception
    assert [element.proto.component_name for element in app.get("bidi_component")] == ["runvitals.charts"]
