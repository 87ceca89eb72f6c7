# SPDX-License-Identifier: MPL-2.0
"""Names stay inside their pool, whatever they are made of."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.errors import InvalidPayload
from hull.storage.name import check_dataset, check_snapshot, parent_of

PIECES = st.sampled_from(["zones", "..", ".", "", "a", "A-1:b_c.d", "@", "/", "\0", "-x", " ", "é"])


@given(st.lists(PIECES, max_size=6), st.sampled_from(["/", ""]))
def test_an_accepted_name_is_below_its_pool(pieces: list[str], glue: str) -> None:
    name = glue.join(pieces)
    try:
        parts = check_dataset(name, "zones")
    except InvalidPayload:
        return
    assert name == "/".join(("zones", *parts))
    path = PurePosixPath("/top", *parts)
    assert path.parts[:2] == ("/", "top")
    assert ".." not in path.parts
    assert len(path.parts) == 2 + len(parts)
    assert not any(part.startswith((".", "-")) for part in parts)


@given(st.text(max_size=12))
def test_any_text_is_answered(text: str) -> None:
    for check in (check_dataset, check_snapshot):
        try:
            check(text, "zones")
        except InvalidPayload:
            continue
        assert text.startswith("zones")


def test_snapshot() -> None:
    assert check_snapshot("zones/a/b@final", "zones") == ("zones/a/b", "final")
    assert check_dataset("zones/a/b", "zones") == ("a", "b")
    assert check_dataset("zones", "zones") == ()
    assert parent_of("zones/a/b") == "zones/a"
    for wrong in ("zones/a", "zones/a@", "zones/a@b/c", "other/a@s"):
        with pytest.raises(InvalidPayload) as caught:
            check_snapshot(wrong, "zones")
        assert [problem.path for problem in caught.value.problems] == ["name"]
