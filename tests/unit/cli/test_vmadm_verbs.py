# SPDX-License-Identifier: MPL-2.0
"""vmadm's other verbs, from kill to receive, and what start and stop take beside a UUID."""

import json
import os
from pathlib import Path

import pytest

from hull.cli import transfer
from hull.cli.vmadm import COMMAND
from hull.errors import HostError, InvalidState, Refused, Unsupported
from hull.wire import Json
from tests.unit.cli.fake import Shell, make_shell

UUID = "59aaecb6-467d-4116-92bd-f31842d44c90"
AT = f"/vms/{UUID}"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return make_shell(COMMAND, monkeypatch, capsys)


# -- kill ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([UUID], "SIGTERM"),
        (["-s", "HUP", UUID], "HUP"),
        (["-sHUP", UUID], "HUP"),
        (["-HUP", UUID], "HUP"),
        ([UUID, "-SIGKILL"], "SIGKILL"),
        (["-9", UUID], "9"),
        (["-USR1", UUID], "USR1"),
    ],
)
def test_kill(run: Shell, words: list[str], asked: str) -> None:
    done = run("kill", *words, answer={"uuid": UUID, "signal": "SIGNAME"})
    assert done.err == f'Sent signal "SIGNAME" to init process for VM {UUID}\n'
    assert (done.status, done.out) == (0, "")
    assert run.hulld.asked == [("POST", f"{AT}?action=kill", {"signal": asked})]


def test_kill_says_what_is_wrong(run: Shell) -> None:
    done = run("kill", UUID, "-FOO", answer=Refused('Unknown signal "FOO"'))
    assert (done.status, done.err) == (1, 'vmadm kill: Unknown signal "FOO"\n')


# -- sysrq, info -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "said"), [("nmi", "Sent NMI to VM"), ("screenshot", "Sent screenshot sysrq to VM")]
)
def test_sysrq(run: Shell, kind: str, said: str) -> None:
    done = run("sysrq", UUID, kind, answer={"uuid": UUID})
    assert (done.status, done.err) == (0, f"{said} {UUID}\n")
    assert run.hulld.asked == [("POST", f"{AT}?action=sysrq", {"type": kind})]


@pytest.mark.parametrize(("words", "said"), [(["foo"], "foo"), ([], "undefined")])
def test_a_sysrq_that_there_is_not(run: Shell, words: list[str], said: str) -> None:
    done = run("sysrq", UUID, *words)
    assert (done.status, run.hulld.asked) == (2, [])
    assert f"vmadm sysrq: Invalid sysrq type: {said}\n" in done.err


def test_info(run: Shell) -> None:
    assert json.loads(run("info", UUID, "vnc", answer={"vnc": {}}).out) == {"vnc": {}}
    done = run("info", UUID, answer=Unsupported("no info types supported for brand joyent"))
    expected = f"Unable to get VM info for VM {UUID}: no info types supported for brand joyent"
    assert (done.status, done.err) == (1, f"vmadm info: {expected}\n")


# -- start, stop, delete ---------------------------------------------------------------------------
def test_what_a_guest_boots_from_has_no_effect_on_a_zone(run: Shell) -> None:
    words = ["order=cd", "once=d", "cdrom=/a.iso,ide", "disk=/b,virtio", "disk=/c,virtio"]
    answer: Json = {"uuid": UUID, "already": False, "state": "running"}
    assert run("start", UUID, *words, answer=answer).status == 0
    assert run.hulld.asked == [("POST", f"{AT}?action=start", {})]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["order=c", "order=d"], "You can only specify 'order' once when starting a VM"),
        (["once=c", "once=c"], "You can only specify 'once' once when starting a VM"),
        (["cdrom=/a.iso"], "Parameter to cdrom must be: path,model"),
        (["disk=a,b,c"], "Parameter to disk must be: path,model"),
        (["foo"], 'Invalid parameter: "foo"'),
    ],
)
def test_what_a_guest_boots_from_is_read(run: Shell, words: list[str], said: str) -> None:
    done = run("start", UUID, *words)
    assert (done.status, run.hulld.asked) == (2, [])
    assert f"vmadm start: {said}\n" in done.err


def test_start_begins_to_say_that_it_failed(run: Shell) -> None:
    message = 'Cannot start vm from state "receiving", must be "stopped".'
    done = run("start", UUID, answer=InvalidState(message))
    assert (done.status, done.err) == (1, f"vmadm start: Unable to start VM {UUID}: {message}\n")


def test_stop_with_a_timeout(run: Shell) -> None:
    answer: Json = {"uuid": UUID, "already": False, "state": "stopped"}
    assert run("stop", UUID, "-t", "30", answer=answer).status == 0
    assert run.hulld.asked[-1][2] == {"force": False, "timeout": 30}
    message = "Timeout option is only supported for bhyve, KVM and docker containers."
    done = run("stop", "-t5", UUID, answer=Unsupported(message))
    assert (done.status, done.err) == (1, f"vmadm stop: {message}\n")
    assert run("stop", UUID, "-t", "soon").status == 2


def test_every_failure_to_delete_says_so(run: Shell) -> None:
    message = "indestructible_zoneroot is set, cannot delete"
    done = run("delete", UUID, answer=InvalidState(message, hint="clear it"))
    assert done.status == 1
    first, hint = done.err.splitlines()
    assert first == f"vmadm delete: Failed to delete VM {UUID}: {message}"
    assert hint.strip() == "clear it"


# -- reprovision -----------------------------------------------------------------------------------
def test_reprovision(run: Shell, tmp_path: Path) -> None:
    file = tmp_path / "payload"
    file.write_text('{"image_uuid": "I"}')
    done = run("reprovision", UUID, "-f", str(file), answer={"uuid": UUID})
    assert (done.status, done.err) == (0, f"Successfully reprovisioned VM {UUID}\n")
    assert run.hulld.asked == [("POST", f"{AT}?action=reprovision", {"image_uuid": "I"})]
    file.write_text("{")
    done = run("reprovision", UUID, "-f", str(file))
    assert done.status == 1
    assert done.err.startswith("vmadm reprovision: Invalid JSON payload: ")


# -- send, receive, install ------------------------------------------------------------------------
def test_send_hands_over_standard_output(run: Shell) -> None:
    done = run("send", UUID, answer={"uuid": UUID})
    assert (done.status, done.out, done.err) == (0, "", f"Successfully sent VM {UUID}\n")
    assert run.hulld.asked == [("POST", f"{AT}?action=send", {})]
    assert run.hulld.descriptors == [1]


def test_a_terminal_is_no_place_for_a_stream(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda fd: True)
    done = run("send", UUID)
    assert (done.status, run.hulld.asked) == (1, [])
    assert done.err.startswith("vmadm send: Cannot send VM to a TTY.\n")
    done = run("receive")
    assert (done.status, run.hulld.asked) == (2, [])
    assert done.err.startswith("vmadm receive: Will not receive from stdin when stdin is a tty.\n")


class Remote:
    """A host that receives: what was started, and how it ends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> None:
        self.argv: list[str] = []
        monkeypatch.setattr(os, "posix_spawnp", self.spawn)
        monkeypatch.setattr(os, "waitpid", lambda pid, options: (pid, status << 8))

    def spawn(self, path: str, argv: list[str], *rest: object, **more: object) -> int:
        self.argv = argv
        return 4711


def test_send_to_a_host(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(monkeypatch)
    run.hulld.answers = [{"uuid": UUID}]
    assert run("send", UUID, "elsewhere", answer={"uuid": UUID}).status == 0
    assert remote.argv == ["ssh", "elsewhere", "vmadm", "receive"]
    assert [target for _, target, _ in run.hulld.asked] == [AT, f"{AT}?action=send"]
    assert run.hulld.descriptors[1] > 2


def test_send_to_a_host_that_does_not_take_it(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    Remote(monkeypatch, status=1)
    run.hulld.answers = [{"uuid": UUID}]
    done = run("send", UUID, "elsewhere", answer=HostError("cannot write the stream"))
    assert (done.status, done.out) == (1, "")
    assert "`ssh elsewhere vmadm receive` ended with status 1" in done.err


def test_a_host_is_no_option(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(monkeypatch)
    with pytest.raises(Refused):
        transfer.to_host("-oProxyCommand=true", lambda fd: None)
    assert not remote.argv


def test_receive_hands_over_its_file(run: Shell, tmp_path: Path) -> None:
    file = tmp_path / "vm"
    file.write_bytes(b"stream")
    done = run("receive", "-f", str(file), answer={"uuid": UUID})
    assert (done.status, done.out, done.err) == (0, "", f"Successfully received VM {UUID}\n")
    assert run.hulld.asked == [("POST", "/vms?action=receive", {})]
    assert run.hulld.descriptors[0] > 2
    done = run("recv", "-f", "/no/such")
    assert (done.status, done.err) == (1, "vmadm receive: File: /no/such does not exist.\n")


def test_install(run: Shell) -> None:
    done = run("install", UUID, answer={"uuid": UUID})
    assert (done.status, done.err) == (0, f"Successfully installed VM {UUID}\n")
    assert run.hulld.asked == [("POST", f"/zones/{UUID}?action=install", {})]
