# SPDX-License-Identifier: MPL-2.0
"""vmadm: what it asks hulld, what it prints, how it ends. Expected texts are SmartOS's own."""

import json
from pathlib import Path

import pytest

from hull.cli import events, vmadm
from hull.cli.vmadm import COMMAND
from hull.errors import InvalidPayload, InvalidState, NotFound, Problem
from hull.wire import Json, JsonObject
from tests.unit.cli.fake import Shell, make_shell

UUID = "59aaecb6-467d-4116-92bd-f31842d44c90"
OTHER = "7f1e0c8a-1111-4222-8333-444444444444"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return make_shell(COMMAND, monkeypatch, capsys)


@pytest.fixture
def payload(tmp_path: Path) -> str:
    (tmp_path / "vm.json").write_text('{"alias": "nsa-box"}')
    return str(tmp_path / "vm.json")


def columns(**widths: int) -> list[Json]:
    return [{"header": name.upper(), "width": width} for name, width in widths.items()]


DEFAULT = columns(uuid=36, type=4, ram=7, state=16, alias=10)
ROWS: list[Json] = [
    ["11111111-2222-4333-8444-555555555503", "LX", 128, "provisioning", None],
    ["11111111-2222-4333-8444-555555555501", "OS", 256, "running", "web0"],
    ["11111111-2222-4333-8444-555555555504", "KVM", 1024, "failed", "k"],
    [
        *("11111111-2222-4333-8444-555555555502", "BHYV", 4096, "stopped"),
        "winbox-with-a-long-alias",
    ],
]
GOLDEN = """\
UUID                                  TYPE  RAM      STATE             ALIAS
11111111-2222-4333-8444-555555555503  LX    128      provisioning      -
11111111-2222-4333-8444-555555555501  OS    256      running           web0
11111111-2222-4333-8444-555555555504  KVM   1024     failed            k
11111111-2222-4333-8444-555555555502  BHYV  4096     stopped           winbox-with-a-long-alias
"""


# -- list ------------------------------------------------------------------------------------------
def test_list_is_smartos_to_the_letter(run: Shell) -> None:
    done = run("list", answer={"columns": DEFAULT, "rows": ROWS})
    assert (done.status, done.out, done.err) == (0, GOLDEN, "")
    asked = "/vms?columns=uuid%2Ctype%2Cram%2Cstate%2Calias&sort=ram%2Cuuid"
    assert run.hulld.asked == [("GET", asked, None)]


def test_list_without_vms_is_its_header(run: Shell) -> None:
    assert run("list", answer={"columns": DEFAULT, "rows": []}).out == GOLDEN.splitlines()[0] + "\n"


def test_list_without_header(run: Shell) -> None:
    done = run("list", "-H", answer={"columns": DEFAULT, "rows": ROWS[1:2]})
    assert done.out == GOLDEN.splitlines()[2] + "\n"


def test_parsable_list(run: Shell) -> None:
    rows: list[Json] = [["U1", None, False], ["U2", "a:b", True], [None, None, None]]
    answer: Json = {"columns": columns(uuid=36, alias=10, autoboot=8), "rows": rows}
    assert run("list", "-p", answer=answer).out == "U1::false\nU2:a:b:true\n::\n"
    assert run("list", "-ph", answer=answer).out.startswith("UUID:ALIAS:AUTOBOOT\nU1:")


def test_what_is_missing_or_false_is_a_dash_and_zero_is_zero(run: Shell) -> None:
    rows: list[Json] = [[None, "x"], [False, "x"], ["", "x"], [0, "x"], [True, "x"]]
    answer: Json = {"columns": columns(a=4, b=1), "rows": rows}
    assert run("list", "-H", answer=answer).out == "-     x\n-     x\n-     x\n0     x\ntrue  x\n"


def test_list_passes_its_options_on(run: Shell) -> None:
    answer: Json = {"columns": columns(uuid=36), "rows": []}
    run("list", "-o", "uuid", "-s", "-ram", "state=running", "alias=~^a", answer=answer)
    asked = "/vms?columns=uuid&sort=-ram&filter=state%3Drunning%0Aalias%3D~%5Ea"
    assert run.hulld.asked == [("GET", asked, None)]


def test_a_bad_column_is_an_error(run: Shell) -> None:
    problem = InvalidPayload([Problem("", "invalid order field: foo")])
    done = run("list", "-o", "foo", answer=problem)
    assert (done.status, done.out) == (1, "")
    assert done.err == "vmadm list: invalid order field: foo\n"


# -- lookup ----------------------------------------------------------------------------------------
VMS: list[Json] = [{"uuid": UUID, "alias": "a", "ram": 1}, {"uuid": OTHER, "alias": "b", "ram": 2}]


def test_lookup_prints_uuids(run: Shell) -> None:
    done = run("lookup", "alias=a", answer=VMS)
    assert (done.status, done.out) == (0, f"{UUID}\n{OTHER}\n")
    assert run.hulld.asked == [("GET", "/vms?filter=alias%3Da&fields=uuid", None)]
    assert run("lookup", answer=[]).out == ""


def test_lookup_as_json(run: Shell) -> None:
    assert json.loads(run("lookup", "-j", answer=VMS).out) == VMS
    assert run.hulld.asked == [("GET", "/vms?whole=yes", None)]
    done = run("lookup", "-j", "-o", "alias,nosuch", answer=[{"alias": "a"}])
    assert json.loads(done.out) == [{"alias": "a"}]
    assert run.hulld.asked[-1] == ("GET", "/vms?fields=alias%2Cnosuch", None)


def test_unique_lookup(run: Shell) -> None:
    assert run("lookup", "-1", answer=VMS[:1]).out == f"{UUID}\n"
    assert json.loads(run("lookup", "-1", "-j", answer=VMS[:1]).out) == VMS[0]
    for found in (VMS, []):
        done = run("lookup", "-1", answer=found)
        assert done.status == 1
        expected = f"Requested unique lookup but found {len(found)} results."
        assert done.err == f"vmadm lookup: {expected}\n"
        assert done.out == ""


def test_lookup_fields_need_json(run: Shell) -> None:
    done = run("lookup", "-o", "alias")
    assert (done.status, done.err) == (1, "vmadm lookup: Cannot specify -o without -j\n")
    assert run.hulld.asked == []


# -- get -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["get", "json"])
def test_get(run: Shell, verb: str) -> None:
    done = run(verb, UUID, answer={"uuid": UUID})
    assert (done.status, done.out) == (0, f'{{\n  "uuid": "{UUID}"\n}}\n')
    assert run.hulld.asked == [("GET", f"/vms/{UUID}", None)]


MISSING = {
    "get": f"zoneadm: {UUID}: No such zone configured",
    "start": f"Unable to start VM {UUID}: bad statusCode: 404",
    "stop": f"VM {UUID} not found",
    "update": f"VM {UUID} not found",
    "create-snapshot": f"VM {UUID} not found",
    "delete-snapshot": f"VM {UUID} not found",
    "events": f"VM {UUID} not found",
    "delete": f"Failed to delete VM {UUID}: VM {UUID} not found",
    "reprovision": f"Failed to reprovision VM {UUID}: VM {UUID} not found",
    "reboot": "bad statusCode: 404",
    "kill": "bad statusCode: 404",
    "console": "bad statusCode: 404",
    "sysrq": "bad statusCode: 404",
    "send": "bad statusCode: 404",
    "rollback-snapshot": "bad statusCode: 404",
    "info": f"Unable to get VM info for VM {UUID}: bad statusCode: 404",
}


@pytest.mark.parametrize("verb", MISSING)
def test_a_vm_that_is_not_there(run: Shell, verb: str, payload: str) -> None:
    words = {
        "update": ["alias=x"],
        "sysrq": ["nmi"],
        "send": ["somewhere"],
        "reprovision": ["-f", payload],
    }
    if verb.endswith("-snapshot"):
        words[verb] = ["name"]
    missing = NotFound(f"VM {UUID} not found", hint="look around")
    done = run(verb, UUID, *words.get(verb, []), answer=missing)
    assert (done.status, done.out) == (1, "")
    first, hint = done.err.splitlines()
    assert first == f"vmadm {verb}: {MISSING[verb]}"
    assert "look around" in hint


def test_another_thing_that_is_missing_keeps_its_name(run: Shell) -> None:
    message = f'No snapshot named "a" for {UUID}'
    done = run("rollback-snapshot", UUID, "a", answer=NotFound(message))
    assert (done.status, done.err) == (1, f"vmadm rollback-snapshot: {message}\n")


# -- create, update, validate ----------------------------------------------------------------------
def test_create(run: Shell, payload: str) -> None:
    done = run("create", "-f", payload, answer={"uuid": UUID, "warnings": []})
    assert (done.status, done.out) == (0, "")
    assert done.err == f"Successfully created VM {UUID}\n"
    assert run.hulld.asked == [("POST", "/vms", {"alias": "nsa-box"})]


WARNINGS: list[Json] = [
    {"path": "max_fysical_memory", "message": "unknown property", "hint": "did you mean `x`?"},
    {"path": "vcpus", "message": "not for VMs of brand joyent", "hint": ""},
]


@pytest.mark.parametrize(("verb", "words"), [("create", []), ("update", [UUID])])
def test_what_is_ignored_is_named(run: Shell, payload: str, verb: str, words: list[str]) -> None:
    done = run(verb, *words, "-f", payload, answer={"uuid": UUID, "warnings": WARNINGS})
    assert (done.status, done.out) == (0, "")
    assert done.err == (
        f"vmadm {verb}: warning: max_fysical_memory: unknown property (did you mean `x`?)\n"
        f"vmadm {verb}: warning: vcpus: not for VMs of brand joyent\n"
        f"Successfully {verb}d VM {UUID}\n"
    )


def test_every_problem_of_a_payload_is_named(run: Shell, payload: str) -> None:
    problems = [Problem("quota", "is not a number"), Problem("nics[0].nic_tag", "is missing", "x")]
    done = run("create", "-f", payload, answer=InvalidPayload(problems))
    assert done.status == 1
    assert done.err == (
        "vmadm create: quota: is not a number\nvmadm create: nics[0].nic_tag: is missing (x)\n"
    )


def test_update_from_a_file_and_from_words(run: Shell, payload: str) -> None:
    done = run("update", UUID, "-f", payload, answer={"uuid": UUID, "warnings": []})
    assert (done.status, done.err) == (0, f"Successfully updated VM {UUID}\n")
    run("update", UUID, "alias=a=b", "quota=20", answer={"uuid": UUID, "warnings": []})
    target = f"/vms/{UUID}?action=update"
    assert run.hulld.asked == [
        ("POST", target, {"alias": "nsa-box"}),
        ("POST", target, {"alias": "a=b", "quota": "20"}),
    ]


def test_update_takes_no_bare_word(run: Shell) -> None:
    done = run("update", UUID, "alias")
    assert (done.status, run.hulld.asked) == (2, [])
    assert '"alias" is not of the form property=value' in done.err


VALID: JsonObject = {"valid": True, "problems": [], "report": {}}


def test_validate_prints_smartos_object_and_reasons(run: Shell, payload: str) -> None:
    report: JsonObject = {"bad_values": [], "bad_properties": ["vcpus"], "missing_properties": []}
    answer: JsonObject = {"brand": "joyent", "valid": False, "report": report}
    done = run("validate", "create", "-f", payload, answer=answer | {"problems": WARNINGS})
    assert done.status == 1
    assert done.out == (
        "max_fysical_memory: unknown property (did you mean `x`?)\n"
        "vcpus: not for VMs of brand joyent\n"
    )
    assert done.err == json.dumps(report, indent=2) + "\n"


def test_validate(run: Shell, payload: str) -> None:
    done = run("validate", "create", "-f", payload, answer=VALID | {"brand": "joyent"})
    assert (done.status, done.err) == (0, "VALID 'create' payload for joyent brand VMs.\n")
    run("validate", "update", "lx", "-f", payload, answer=VALID | {"brand": "lx"})
    body: JsonObject = {"action": "create", "brand": "", "payload": {"alias": "nsa-box"}}
    assert run.hulld.asked == [
        ("POST", "/vms?action=validate", body),
        ("POST", "/vms?action=validate", body | {"action": "update", "brand": "lx"}),
    ]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "Will not validate without a valid action."),
        (["frob"], "Will not validate without a valid action."),
        (["update"], "Will not validate without a valid action and brand."),
    ],
)
def test_validate_needs_to_know_for_what(run: Shell, argv: list[str], message: str) -> None:
    done = run("validate", *argv)
    assert (done.status, run.hulld.asked) == (2, [])
    assert message in done.err


# -- start, stop, reboot, delete -------------------------------------------------------------------
def state(now: str, *, already: bool) -> JsonObject:
    return {"uuid": UUID, "already": already, "state": now}


@pytest.mark.parametrize("verb", ["start", "boot"])
def test_start(run: Shell, verb: str) -> None:
    done = run(verb, UUID, answer=state("running", already=False))
    assert (done.status, done.err) == (0, f"Successfully started VM {UUID}\n")
    done = run(verb, UUID, answer=state("running", already=True))
    expected = f"Unable to start VM {UUID}: VM {UUID} is already 'running'\n"
    assert (done.status, done.err) == (0, expected)
    assert run.hulld.asked == [("POST", f"/vms/{UUID}?action=start", {})] * 2


@pytest.mark.parametrize("verb", ["stop", "halt"])
def test_stop(run: Shell, verb: str) -> None:
    done = run(verb, UUID, "-F", answer=state("stopped", already=False))
    assert (done.status, done.err) == (0, f"Successfully completed stop for VM {UUID}\n")
    done = run(verb, UUID, answer=state("stopped", already=True))
    expected = f"VM {UUID} is already not 'running' (currently: stopped)\n"
    assert (done.status, done.err) == (0, expected)
    forces = [body for _, _, body in run.hulld.asked]
    assert forces == [{"force": True}, {"force": False}]


def test_reboot(run: Shell) -> None:
    done = run("reboot", "-F", UUID, answer={"uuid": UUID})
    assert (done.status, done.err) == (0, f"Successfully completed reboot for VM {UUID}\n")
    assert run.hulld.asked == [("POST", f"/vms/{UUID}?action=reboot", {"force": True})]
    message = 'Cannot reboot vm from state "stopped", must be "running"'
    done = run("reboot", UUID, answer=InvalidState(message))
    assert (done.status, done.err) == (1, f"vmadm reboot: {message}\n")


@pytest.mark.parametrize("verb", ["delete", "destroy"])
def test_delete(run: Shell, verb: str) -> None:
    done = run(verb, UUID, answer={"uuid": UUID})
    assert (done.status, done.err) == (0, f"Successfully deleted VM {UUID}\n")
    done = run(verb, UUID, answer=NotFound(f"VM {UUID} not found"))
    expected = f"vmadm delete: Failed to delete VM {UUID}: VM {UUID} not found\n"
    assert (done.status, done.err) == (1, expected)
    assert run.hulld.asked == [("DELETE", f"/vms/{UUID}", None)] * 2


# -- snapshots -------------------------------------------------------------------------------------
def test_snapshots(run: Shell) -> None:
    answer: Json = {"uuid": UUID, "name": "mon:day"}
    said = [
        run(f"{verb}-snapshot", UUID, "mon:day", answer=answer).err
        for verb in ("create", "rollback", "delete")
    ]
    assert said == [
        f"Created snapshot mon:day for VM {UUID}\n",
        f"Rolled back snapshot mon:day for VM {UUID}\n",
        f"Deleted snapshot mon:day for VM {UUID}\n",
    ]
    target = f"/vms/{UUID}/snapshots"
    assert run.hulld.asked == [
        ("POST", target, {"name": "mon:day"}),
        ("POST", f"{target}?action=rollback", {"name": "mon:day"}),
        ("DELETE", f"{target}?name=mon%3Aday", None),
    ]


@pytest.mark.parametrize("verb", ["create-snapshot", "rollback-snapshot", "delete-snapshot"])
@pytest.mark.parametrize("argv", [[], [UUID], [UUID, "a", "b"]])
def test_a_snapshot_needs_a_vm_and_a_name(run: Shell, verb: str, argv: list[str]) -> None:
    done = run(verb, *argv)
    assert (done.status, run.hulld.asked) == (2, [])
    assert f'Wrong number of parameters to "{verb}"' in done.err


# -- wrong usage -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "verb",
    [verb.name for verb in COMMAND.verbs if "UUID" in verb.arguments.replace("[UUID]", "")],
)
def test_a_uuid_is_looked_at_before_anything_is_asked(run: Shell, verb: str) -> None:
    words = ["name"] if verb.endswith("-snapshot") else []
    for uuid in ("foo", UUID.upper()[:-1]):
        done = run(verb, uuid, *words)
        assert (done.status, done.out, run.hulld.asked) == (2, "", [])
        assert f"vmadm {verb}: Invalid or missing UUID for {verb}\n" in done.err


@pytest.mark.parametrize("verb", [verb.name for verb in COMMAND.verbs])
def test_an_unknown_option_is_never_ignored(run: Shell, verb: str) -> None:
    done = run(verb, "-Z")
    assert (done.status, run.hulld.asked) == (2, [])
    assert done.err.startswith(f"vmadm {verb}: unknown option: -Z\n")


@pytest.mark.parametrize("verb", ["get", "kill", "stop", "reboot", "delete", "install"])
def test_no_more_words_than_agreed(run: Shell, verb: str) -> None:
    done = run(verb, UUID, OTHER)
    assert (done.status, run.hulld.asked) == (2, [])
    assert "too many arguments" in done.err


def test_unknown_commands(run: Shell) -> None:
    done = run("startt")
    assert done.status == 2
    assert done.err.startswith('vmadm: Invalid command: "startt". Did you mean `start`?')


# -- events ----------------------------------------------------------------------------------------
def test_events_of_one_vm_ask_for_it_first(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(events, "follow", lambda *args: followed.append(args))
    assert run("events", "-r", answer=None).status == 0
    assert run("events", UUID, answer={"uuid": UUID}).status == 0
    assert followed == [("", {"-r": "yes"}), (UUID, {})]
    assert run.hulld.asked == [("GET", f"/vms/{UUID}", None)]


def test_events_of_no_vm(run: Shell) -> None:
    done = run("events", UUID, answer=NotFound(f"VM {UUID} not found"))
    assert (done.status, done.err) == (1, f"vmadm events: VM {UUID} not found\n")


def test_console_leaves_by_its_key(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from hull.cli import terminal

    joined: list[tuple[str, bytes]] = []

    def console(call: object, uuid: str, *, escape: bytes) -> int:
        joined.append((uuid, escape))
        return 0

    monkeypatch.setattr(terminal, "console", console)
    assert run("console", UUID).status == 0
    assert joined == [(UUID, b"\x1d")]


def test_main_ends_with_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["vmadm", "frob"])
    with pytest.raises(SystemExit) as ended:
        vmadm.main()
    assert ended.value.code == 2
