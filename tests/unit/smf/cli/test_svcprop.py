# SPDX-License-Identifier: MPL-2.0
"""svcprop: whose properties, of when, and how they are written."""

import json
import socket

import pytest

from smf.cli.svcprop import COMMAND, escaped
from tests.unit.smf.cli.conftest import Run
from tests.unit.smf.local import Local
from tests.unit.smf.made import group, instance

APP, SERVICE = "svc:/site/app:default", "svc:/site/app"


@pytest.fixture(autouse=True)
def app(local: Local) -> None:
    """Refreshed, and changed since."""
    local.commit([
        ["add", APP],
        ["put", SERVICE, "config", group(
            "application", port=["count", "80"], hosts=["astring", "a b", "", "c;d"]
        )],
        ["put", APP, "config", group("application", port=["count", "8080"])],
    ])  # fmt: skip
    instance(local, APP, logfile=["astring"])
    local.commit([
        ["set", APP, "config", "port", "count", ["9090"]],
        ["set", APP, "general", "enabled", "boolean", ["false"]],
    ])  # fmt: skip


def test_one_property_is_its_values(run: Run) -> None:
    assert run(COMMAND, "-p", "config/port", "app") == (0, "8080\n", "")
    assert run(COMMAND, "-p", "config/hosts", "app") == (0, 'a\\ b\n""\nc\\;d\n', "")
    assert run(COMMAND, "-p", "restarter/logfile", "app") == (0, "\n", "")
    assert run(COMMAND, f"{APP}/:properties/config/port") == (0, "8080\n", "")


def test_more_have_names_and_types(run: Run) -> None:
    assert run(COMMAND, "-p", "config", "app") == (
        0, 'config/port count 8080\nconfig/hosts astring a\\ b "" c\\;d\n', "",
    )  # fmt: skip
    assert run(COMMAND, "-t", "-p", "config/port", "app")[1] == "config/port count 8080\n"
    assert run(COMMAND, "-p", "config/port", "-p", "general/enabled", "app")[1] == (
        "config/port count 8080\ngeneral/enabled boolean true\n"
    )
    assert run(COMMAND, "-p", "restarter/logfile", "-t", "app")[1] == "restarter/logfile astring\n"


def test_whole_names(run: Run, local: Local) -> None:
    line = f"{APP}/:properties/config/port count 8080\n"
    assert run(COMMAND, "-f", "-p", "config/port", "app")[1] == line
    instance(local, "svc:/site/other:default")
    other = "svc:/site/other:default/:properties/general/enabled boolean true\n"
    mine = f"{APP}/:properties/general/enabled boolean true\n"
    assert run(COMMAND, "-p", "general/enabled", "app", "other")[1] == mine + other


def test_views(run: Run) -> None:
    ask = ("-p", "config/port", "-p", "general/enabled", "-p", "restarter/state", "app")
    for option, port, enabled in ((), "8080", "true"), (("-c",), "9090", "false"):
        assert run(COMMAND, *option, *ask)[1] == (
            f"config/port count {port}\ngeneral/enabled boolean {enabled}\n"
            "restarter/state astring online\n"
        )
    assert run(COMMAND, "-s", "running", "-p", "config", "app")[1].startswith(
        "config/port count 80"
    )
    assert run(COMMAND, "-C", "-p", "config", "app")[1] == "config/port count 9090\n"


def test_of_a_snapshot(run: Run) -> None:
    assert run(COMMAND, "-s", "running", "-p", "config/port", "app") == (0, "8080\n", "")
    status, _, errors = run(COMMAND, "-s", "nosuch", "app")
    assert (status, "nosuch" in errors) == (1, True)
    status, _, errors = run(COMMAND, "-s", "running", SERVICE)
    assert (status, "only instances have snapshots" in errors) == (1, True)


def test_before_the_first_refresh(run: Run, local: Local) -> None:
    local.commit([["unsnapshot", APP, "running"]])
    assert run(COMMAND, "-p", "config/port", "app")[1] == "9090\n"


def test_of_a_service(run: Run) -> None:
    assert run(COMMAND, SERVICE)[1] == 'config/port count 80\nconfig/hosts astring a\\ b "" c\\;d\n'
    assert run(COMMAND, f"{SERVICE}/:properties/config/port")[1] == "80\n"


def test_a_glob_is_of_services_too(run: Run) -> None:
    status, out, errors = run(COMMAND, "-p", "config/port", "*app*")
    assert (status, errors) == (0, "")
    assert out == (
        f"{SERVICE}/:properties/config/port count 80\n{APP}/:properties/config/port count 8080\n"
    )


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["-p", "config/nope", "app"], "config/nope"),
        (["-p", "nope/x", "app"], '"nope"'),
        (["-p", "nope", "app"], '"nope"'),
        (["nosuch"], '"nosuch"'),
        (["svc:/site/app:other"], "svc:/site/app:other"),
        (["svc:/-/"], "svc:/-/"),
    ],
)
def test_what_is_not_there(run: Run, words: list[str], named: str) -> None:
    status, out, errors = run(COMMAND, *words)
    assert (status, out) == (1, "")
    assert errors.startswith("svcprop: ")
    assert named in errors
    assert run(COMMAND, "-q", *words) == (1, "", "")
    assert run(COMMAND, "-qv", *words) == (1, "", errors)


def test_quiet_when_all_is_there(run: Run) -> None:
    assert run(COMMAND, "-q", "-p", "config/port", "app") == (0, "", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say which service or instance"),
        (["-c", "-C", "app"], "exclude each other"),
        (["-w", "app", "other"], "-w waits for one operand"),
        (["-w", "-c", "-p", "config", "app"], "sees it as -C does"),
        (["-p", "/x", "app"], "-p takes GROUP or GROUP/PROPERTY"),
        (["-p", "config", f"{APP}/:properties/config"], "so does the operand"),
    ],
)
def test_wrong_usage(run: Run, words: list[str], message: str) -> None:
    status, out, errors = run(COMMAND, *words)
    assert (status, out) == (2, "")
    assert message in errors


class Feed:
    """What a watcher reads: one chunk after another, then the end."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)

    def recv(self, size: int) -> bytes:
        return self.chunks.pop(0)[:size] if self.chunks else b""


def changes(*changed: tuple[str, str]) -> bytes:
    return json.dumps({"changed": changed}).encode() + b"\n"


def test_waiting(run: Run, local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    other = changes((APP, "restarter"), (SERVICE, "config"))
    mine = changes((APP, "general"), (APP, "config"))
    feed = Feed(other[:9], other[9:] + mine[:5], mine[5:], b"not read")
    monkeypatch.setattr(Local, "watch", lambda _: feed)
    assert run(COMMAND, "-w", "-p", "config/port", APP) == (0, "9090\n", "")
    assert feed.chunks == [b"not read"]
    assert run(COMMAND, "-w", "-p", "config", APP)[0] == 1  # no line, and then the end


def test_waiting_for_whom(run: Run, local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Local, "watch", lambda _: Feed())
    status, _, errors = run(COMMAND, "-w", APP)
    assert (status, "-w waits for one property group" in errors) == (1, True)
    assert run(COMMAND, "-w", "-p", "config", APP)[0] == 1


def test_waiting_sees_a_real_change(local: Local) -> None:
    watcher = local.watch()
    assert isinstance(watcher, socket.socket)
    local.commit([["set", APP, "config", "port", "count", ["1"]]])
    assert json.loads(watcher.recv(4096))["changed"] == [[APP, "config"]]


def test_words_of_a_shell() -> None:
    assert escaped("a;b&c(d)|^<>\n \t\\\"'`e") == (
        "a\\;b\\&c\\(d\\)\\|\\^\\<\\>\\\n\\ \\\t\\\\\\\"\\'\\`e"
    )


def test_no_control_characters_on_a_terminal(
    run: Run, local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.commit([["set", SERVICE, "config", "hosts", "astring", ["\x1b[31mred"]]])
    ask = ("-C", "-p", "config/hosts", SERVICE)
    assert run(COMMAND, *ask)[1] == "\x1b[31mred\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(COMMAND, *ask)[1] == "?[31mred\n"
