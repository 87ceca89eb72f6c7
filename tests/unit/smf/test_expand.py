# SPDX-License-Identifier: MPL-2.0
"""Tokens in a method's command."""

import pytest

from smf.expand import BadToken, expand
from smf.tree import Group, Groups, Property

A, B = "svc:/a/b:i", "svc:/other:x"
RUNS: Groups = {
    "config": Group("application", {"foo": Property("astring", ["a b;c"])}),
    "application": Group("application", {"plain": Property("astring", ["1", "2"])}),
}
NOW: Groups = {"restarter": Group("framework", {"contract": Property("count", ["7", "8"])})}


def elsewhere(entity: str) -> Groups:
    return {A: NOW, B: RUNS}.get(entity, {})


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("%s %i %m %f %r %%", "a/b i start svc:/a/b:i svc.startd %"),
        ("%{config/foo}", r"a\ b\;c"),
        ("%{plain} %{plain,} %{plain:}", "1 2 1,2 1:2"),
        ("%{restarter/contract}", "7 8"),  # which no snapshot has
        ("%{svc:/other:x/:properties/config/foo}", r"a\ b\;c"),
        ("100 %", "100 "),
    ],
)
def test_a_token_is_what_it_stands_for(command: str, text: str) -> None:
    assert expand(command, A, "start", RUNS, elsewhere) == text


@pytest.mark.parametrize(
    "command",
    [
        "%q", "%{config/nope}", "%{nope", "%{svc:/no:x/:properties/a/b}",
        "%{svc:/no:x/:properties/restarter/contract}",  # which this one has
    ],
)  # fmt: skip
def test_a_token_that_there_is_not(command: str) -> None:
    with pytest.raises(BadToken):
        expand(command, A, "start", RUNS, elsewhere)
