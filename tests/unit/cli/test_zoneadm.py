# SPDX-License-Identifier: MPL-2.0
"""zoneadm list, to the letter of SmartOS's."""

import io

import pytest

from hull.cli import zoneadm
from hull.cli.zoneadm import COMMAND
from hull.errors import InvalidState, NotFound
from hull.wire import Json, JsonObject
from tests.unit.cli.fake import Shell, make_shell

RUNNING = "7f1e0c8a-1111-4222-8333-444444444444"
INSTALLED = "0b61a6b4-1111-4222-8333-444444444444"
INCOMPLETE = "3c72b7c5-1111-4222-8333-444444444444"


def zone(uuid: str, zoneid: int | None, state: str, brand: str) -> JsonObject:
    return {
        "zoneid": zoneid,
        "zonename": uuid,
        "state": state,
        "zonepath": f"/zones/{uuid}",
        "uuid": uuid,
        "brand": brand,
        "ip_type": "excl",
        "zonedid": zoneid,
    }


ZONES: list[Json] = [
    zone(RUNNING, 7, "running", "joyent"),
    zone(INSTALLED, None, "installed", "lx"),
    zone(INCOMPLETE, None, "incomplete", "joyent"),
]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return make_shell(COMMAND, monkeypatch, capsys)


def test_the_table(run: Shell) -> None:
    done = run("list", "-cv", answer=ZONES)
    assert (done.status, done.err) == (0, "")
    assert done.out == (
        "  ID NAME             STATUS     PATH                           BRAND    IP\n"
        "   0 global           running    /                              liveimg  shared\n"
        f"   7 {RUNNING} running    /zones/{RUNNING} joyent   excl\n"
        f"   - {INSTALLED} installed  /zones/{INSTALLED} lx       excl\n"
        f"   - {INCOMPLETE} incomplete /zones/{INCOMPLETE} joyent   excl\n"
    )
    assert run.hulld.asked == [("GET", "/zones", None)]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["global", RUNNING]),
        (["-i"], ["global", RUNNING, INSTALLED]),
        (["-c"], ["global", RUNNING, INSTALLED, INCOMPLETE]),
        (["-n"], [RUNNING]),
        (["-cn"], [RUNNING, INSTALLED, INCOMPLETE]),
    ],
)
def test_which_zones_are_listed(run: Shell, options: list[str], names: list[str]) -> None:
    assert run("list", *options, answer=ZONES).out.split() == names


def test_parsable_lines_have_eight_fields(run: Shell) -> None:
    odd = zone(RUNNING, 7, "running", "joyent") | {"zonepath": "/zo:nes"}
    done = run("list", "-pc", answer=[*ZONES[1:2], odd])
    assert done.out == (
        "0:global:running:/::liveimg:shared:0\n"
        f"-:{INSTALLED}:installed:/zones/{INSTALLED}:{INSTALLED}:lx:excl:0\n"
        f"7:{RUNNING}:running:/zo\\:nes:{RUNNING}:joyent:excl:7\n"
    )


def test_one_zone_whatever_its_state(run: Shell) -> None:
    assert run("list", "-z", "alias 1", answer=ZONES[1:2]).out == f"{INSTALLED}\n"
    assert run.hulld.asked == [("GET", "/zones?zone=alias%201", None)]


def test_a_zone_that_is_not_there(run: Shell) -> None:
    done = run("list", "-z", "nosuch", answer=NotFound("zone 'nosuch' unknown"))
    assert (done.status, done.err) == (1, "zoneadm: nosuch: No such zone configured\n")


def test_u_comes_before_z_if_there_is_such_a_zone(run: Shell) -> None:
    run.hulld.answers.append(NotFound("unknown"))
    assert run("list", "-u", RUNNING, "-z", "web", answer=ZONES[1:2]).out == f"{INSTALLED}\n"
    targets = [target for _, target, _ in run.hulld.asked]
    assert targets == [f"/zones?zone={RUNNING}", "/zones?zone=web"]


@pytest.mark.parametrize(
    ("argv", "action", "body"),
    [
        (["boot"], "boot", {}),
        (["boot", "-X"], "boot", {}),
        (["boot", "--", "-i", "/sbin/other"], "boot", {"init": "/sbin/other"}),
        (["boot", "--", "-s"], "boot", {"boot_args": "-s"}),
        (["reboot", "--", "-m", "verbose,milestone=none", "-i", "/x"], "reboot",
         {"init": "/x", "boot_args": "-m verbose,milestone=none"}),
        (["halt", "-X"], "halt", {}),
        (["reboot", "-X"], "reboot", {}),
        (["ready"], "ready", {}),
        (["shutdown"], "shutdown", {"reboot": False}),
        (["shutdown", "-r"], "shutdown", {"reboot": True}),
        (["shutdown", "-r", "--", "-s"], "shutdown", {"reboot": True, "boot_args": "-s"}),
        (["install"], "install", {}),
        (["install", "-x", "nodataset", "-t", "IMG", "-q", "7"], "install",
         {"image_uuid": "IMG", "quota": 7}),
        (["uninstall", "-F"], "uninstall", {}),
        (["mark", "incomplete"], "mark", {}),
    ],
)  # fmt: skip
def test_steps(run: Shell, argv: list[str], action: str, body: JsonObject) -> None:
    run.hulld.answers.append(ZONES[1:2])
    done = run(argv[0], "-z", "web", *argv[1:])
    assert (done.status, done.out, done.err) == (0, "", "")
    assert run.hulld.asked[1:] == [("POST", f"/zones/{INSTALLED}?action={action}", body)]


@pytest.mark.parametrize(
    "argv",
    [
        ["boot"],
        ["mark", "-z", "web"],
        ["mark", "-z", "web", "installed"],
        ["halt", "-z", "web", "more"],
        ["boot", "-z", "web", "--", "-q"],
        ["shutdown", "-z", "web", "--", "-s"],
        ["boot", "-z", "web", "--", "-i", "init"],
        ["boot", "-z", "web", "--", "-m"],
        ["boot", "-z", "web", "--", "-m", "milestone=nosuch"],
        ["boot", "-z", "web", "--", "-m", "loud"],
        ["install", "-z", "web", "-q", "many"],
        ["list", "-z", "web", "-c"],
        ["clone", "-z", "web", "other"],
    ],
)
def test_wrong_usage(run: Shell, argv: list[str]) -> None:
    assert run(*argv).status == 2
    assert run.hulld.asked == []


def test_refusals_say_which_zone(run: Shell) -> None:
    run.hulld.answers.append(ZONES[:1])
    said = InvalidState(f"zone '{RUNNING}': zone is already booted")
    done = run("boot", "-z", RUNNING, answer=said)
    assert (done.status, done.err) == (1, f"zoneadm: zone '{RUNNING}': zone is already booted\n")
    assert run("halt", "-z", "global").err == (
        "zoneadm: operation is invalid for the global zone.\n"
    )


def test_uninstall_asks(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.isatty", lambda fd: False)
    assert run("uninstall", "-z", "web").err == (
        "zoneadm: Input not from terminal and -F not specified:\n"
        "uninstall command ignored, exiting.\n"
    )
    monkeypatch.setattr("os.isatty", lambda fd: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\ny\n"))
    no = run("uninstall", "-z", "web")
    assert (no.status, no.err) == (1, "Are you sure you want to uninstall zone web (y/[n])? ")
    assert run.hulld.asked == []
    run.hulld.answers[:] = [ZONES[1:2]]
    assert run("uninstall", "-z", "web").status == 0


def test_the_global_zone_is_known_without_asking(run: Shell) -> None:
    assert run("list", "-z", "global").out == "global\n"
    assert run.hulld.asked == []


def test_v_and_p_exclude_each_other(run: Shell) -> None:
    assert run("list", "-vp").status == 2
    assert run.hulld.asked == []


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        (["-z", "web", "list", "-v"], ["list", "-z", "web", "-v"]),
        (["list", "-z", "web"], ["list", "-z", "web"]),
        (["-z", "web"], ["-z", "web"]),
    ],
)
def test_the_zone_may_stand_before_the_verb(
    typed: list[str], understood: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def fake_main(argv: list[str]) -> int:
        seen.append(argv)
        return 0

    monkeypatch.setattr("sys.argv", ["zoneadm", *typed])
    monkeypatch.setattr(COMMAND, "main", fake_main)
    with pytest.raises(SystemExit) as ended:
        zoneadm.main()
    assert (seen, ended.value.code) == ([understood], 0)
