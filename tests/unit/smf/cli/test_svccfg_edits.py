# SPDX-License-Identifier: MPL-2.0
"""Any sequence of edits: none ends in a traceback, and what was set reads back as it was given."""

from hypothesis import given, settings
from hypothesis import strategies as st

from smf.cli.svccfg import batch
from smf.cli.svccfg_lang import quote
from smf.cli.svccfg_session import Session
from smf.errors import SmfError
from smf.places import Places
from smf.tree import Groups
from tests.unit.smf.local import Local

A = "svc:/site/a:default"
Model = dict[str, dict[str, tuple[str, list[str]]]]

NAMES = st.sampled_from(["a", "b", "c_1", "d-e", "general", "x,y"])
TEXTS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=12)
TYPED = st.one_of(
    st.tuples(st.just("astring"), st.lists(TEXTS, max_size=3)),
    st.tuples(st.just("ustring"), st.lists(TEXTS, max_size=3)),
    st.tuples(st.just("count"), st.lists(st.integers(0, 2**64 - 1).map(str), max_size=3)),
    st.tuples(st.just("integer"), st.lists(st.integers(-(2**63), -1).map(str), max_size=3)),
    st.tuples(st.just("boolean"), st.lists(st.sampled_from(["true", "false"]), max_size=2)),
)
EDITS = st.one_of(
    st.tuples(st.just("addpg"), NAMES),
    st.tuples(st.just("delpg"), NAMES),
    st.tuples(st.just("setprop"), NAMES, NAMES, TYPED),
    st.tuples(st.just("setprop"), NAMES, NAMES, TYPED),
    st.tuples(st.just("addpropvalue"), NAMES, NAMES, TYPED),
    st.tuples(st.just("delprop"), NAMES, NAMES),
)
VERBS = (
    "setprop", "addpropvalue", "delpropvalue", "delprop", "addpg", "delpg", "listprop", "listpg",
    "setenv", "unsetenv", "setnotify", "delnotify", "listnotify", "describe", "revert",
    "selectsnap", "refresh", "list", "select", "unselect", "validate", "set", "help", "add",
    "delete",
)  # fmt: skip
WORDS = st.one_of(
    st.sampled_from([
        "=", "(", ")", ">", '"', "-g", "-f", "-s", "-i", "-m", "a", "a/b", "a/b=", "count:", "5",
        "astring:", "to-online", "mailto:a@x", "https://h/", "*", A, "svc:/site/a", "", "general",
        "default", "running", "svc:/", ":", "/", "\\", "[", "P",
    ]),
    st.text(max_size=6),
)  # fmt: skip


def typed(said: object) -> tuple[str, list[str]]:
    """What TYPED has made."""
    assert isinstance(said, tuple)
    kind, values = said
    return str(kind), list(values)


def line_of(edit: tuple[object, ...]) -> str:
    verb, group, *rest = edit
    if verb == "addpg":
        return f"addpg {group} application"
    if not rest:
        return f"{verb} {group}"
    if len(rest) == 1:
        return f"{verb} {group}/{rest[0]}"
    kind, values = typed(rest[1])
    said = [quote(each) for each in values]
    if verb == "addpropvalue":
        return f"addpropvalue {group}/{rest[0]} {kind}: {said[0] if said else '()'}"
    listed = said[0] if len(said) == 1 else f"({' '.join(said)})"
    return f"setprop {group}/{rest[0]} = {kind}: {listed}"


def expected(model: Model, edit: tuple[object, ...]) -> bool:
    """What an edit makes of the model; whether it is one that succeeds."""
    verb, group, *rest = edit
    assert isinstance(group, str)
    if verb == "addpg":
        return group not in model and model.setdefault(group, {}) is not None
    if group not in model:
        return False
    if not rest:
        del model[group]
        return True
    prop = str(rest[0])
    if verb == "delprop":
        return model[group].pop(prop, None) is not None
    kind, values = typed(rest[1])
    before = model[group].get(prop, (kind, []))
    if before[0] != kind or (verb == "addpropvalue" and not values):
        return False
    model[group][prop] = (kind, before[1] + values[:1] if verb == "addpropvalue" else values)
    return True


def as_model(groups: Groups) -> Model:
    return {
        name: {prop: (found.kind, list(found.values)) for prop, found in group.properties.items()}
        for name, group in groups.items()
    }


@settings(max_examples=60)
@given(st.lists(EDITS, max_size=12))
def test_what_is_set_reads_back(edits: list[tuple[object, ...]]) -> None:
    model: Model = {}
    with Local() as local:
        local.commit([["add", A]])
        session = Session(local, Places("/nonexistent"))
        session.fmri = A
        for edit in edits:
            try:
                batch(session, line_of(edit))
                done = True
            except SmfError:
                done = False
            assert done == expected(model, edit), line_of(edit)
        assert as_model(local.attached(A)) == model


@settings(max_examples=60)
@given(st.lists(EDITS, max_size=8))
def test_what_is_listed_can_be_said_again(edits: list[tuple[object, ...]]) -> None:
    """editprop's listing, uncommented, is the same properties anew."""
    from smf.cli.svccfg_env import listing

    with Local() as local:
        local.commit([["add", A], ["add", "svc:/site/b:default"]])
        session = Session(local, Places("/nonexistent"))
        session.fmri = A
        for edit in edits:
            try:
                batch(session, line_of(edit))
            except SmfError:
                continue
        lines = listing(session).split("\n")
        text = "\n".join(line.removeprefix("# ") for line in lines[2:] if "# Property" not in line)
        session.fmri = "svc:/site/b:default"
        batch(session, text)
        assert as_model(local.attached(session.fmri)) == as_model(local.attached(A))


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(VERBS), st.lists(WORDS, max_size=5)), max_size=6))
def test_nothing_that_is_typed_is_a_traceback(lines: list[tuple[str, list[str]]]) -> None:
    with Local() as local:
        local.commit([["add", A], ["group", A, "a", "application", ""], ["snapshot", A, "running"]])
        session = Session(local, Places("/nonexistent"))
        session.fmri = A
        for verb, words in lines:
            before, problem = local.store.generation, ""
            try:
                batch(session, " ".join([verb, *words]))
            except SmfError as exc:
                problem = str(exc) or "nothing"
            assert problem != "nothing"
            # With a line break in it, what came before that has been done.
            assert not problem or "\n" in "".join(words) or local.store.generation == before
