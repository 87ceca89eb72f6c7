# SPDX-License-Identifier: MPL-2.0
"""zonecfg: its language, what it makes of a VM, and what it asks of hulld."""

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.cli import zonecfg
from hull.cli.zonecfg import COMMAND, statements_last
from hull.cli.zonecfg_lang import (
    Config,
    Resource,
    export,
    parse_complex,
    statements,
    to_bytes,
    units,
)
from hull.cli.zonecfg_session import Session
from hull.cli.zonecfg_vm import create_payload, from_vm, long_mac, short_mac, update_payload
from hull.errors import NotFound, Refused, Usage
from hull.wire import Json, JsonObject
from tests.unit.cli.fake import Shell, make_shell

UUID = "59aaecb6-467d-4116-92bd-f31842d44c90"
VM: JsonObject = {
    "uuid": UUID,
    "zonename": UUID,
    "zonepath": f"/zones/{UUID}",
    "brand": "joyent",
    "autoboot": True,
    "alias": "nsa-box",
    "image_uuid": "398deede-c025-11e3-8b24-f3ba141900bd",
    "v": 1,
    "quota": 10,
    "limit_priv": "default",
    "max_physical_memory": 512,
    "max_swap": 1024,
    "max_locked_memory": 300,
    "max_shm_memory": 256,
    "cpu_shares": 100,
    "cpu_cap": 150,
    "max_lwps": 2000,
    "resolvers": ["1.1.1.1", "9.9.9.9"],
    "nics": [
        {
            "nic_tag": "admin",
            "mac": "02:08:20:00:0a:1b",
            "interface": "net0",
            "primary": True,
            "ips": ["10.0.0.5/24"],
            "gateways": ["10.0.0.1"],
            "ip": "10.0.0.5",
            "netmask": "255.255.255.0",
            "gateway": "10.0.0.1",
        }
    ],
    "filesystems": [
        {"target": "/data", "source": "/pool", "type": "lofs", "options": ["ro", "nodev"]}
    ],
}
INFO = f"""\
zonename: {UUID}
zonepath: /zones/{UUID}
brand: joyent
autoboot: true
bootargs:
pool:
limitpriv: default
scheduling-class:
ip-type: exclusive
hostid:
fs-allowed:
uuid: {UUID}
[cpu-shares: 100]
[max-lwps: 2000]
[max-shm-memory: 256M]
fs:
\tdir: /data
\tspecial: /pool
\traw not specified
\ttype: lofs
\toptions: [ro,nodev]
net:
\taddress not specified
\tallowed-address not specified
\tdefrouter not specified
\tglobal-nic: admin
\tmac-addr: 2:8:20:0:a:1b
\tphysical: net0
\tvlan-id not specified
\tproperty: (name=gateway,value="10.0.0.1")
\tproperty: (name=gateways,value="10.0.0.1")
\tproperty: (name=ip,value="10.0.0.5")
\tproperty: (name=ips,value="10.0.0.5/24")
\tproperty: (name=netmask,value="255.255.255.0")
\tproperty: (name=primary,value="true")
capped-cpu:
\t[ncpus: 1.50]
capped-memory:
\tphysical: 512M
\t[swap: 1G]
\t[locked: 300M]
attr:
\tname: alias
\ttype: string
\tvalue: "bnNhLWJveA=="
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return make_shell(COMMAND, monkeypatch, capsys)


def on(
    run: Shell, *words: str, answers: tuple[Json, ...] = (), vm: JsonObject = VM
) -> tuple[int, str, str]:
    """Run statements on the VM; what is asked after it was read is in `run.hulld.asked`."""
    run.hulld.answers[:] = [[{"uuid": UUID}], vm, *answers]
    done = run(*statements_last(["-z", "nsa-box", *words]))
    run.hulld.answers.clear()
    del run.hulld.asked[:2]
    return done.status, done.out, done.err


def changed(*words: str) -> JsonObject:
    """The payload of the update that statements come to."""
    old = from_vm(VM)
    new = _after(old, "; ".join(words))
    return update_payload(old, new)


def _after(config: Config, text: str) -> Config:
    session = Session.__new__(Session)
    session.name, session.uuid, session.done = "z", UUID, False
    session.saved, session.config = config, config.copy()
    session.resource = session.selected = None
    for words in statements(text):
        session.run(words)
    assert session.config is not None
    return session.config


# -- the language ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("info", [["info"]]),
        ("a b;c\n d ;; e", [["a", "b"], ["c"], ["d"], ["e"]]),
        ('set a="b c; d"', [["set", "a=b c; d"]]),
        ("set a=b#c\n# all this\n  # and this\ninfo", [["set", "a=b#c"], ["info"]]),
        (
            'add property (name=ip,value="10.0.0.1, x;y")\nend',
            [["add", "property", '(name=ip,value="10.0.0.1, x;y")'], ["end"]],
        ),
        ("add options [ro, nodev]; end", [["add", "options", "[ro, nodev]"], ["end"]]),
        ('set a=""', [["set", "a="]]),
    ],
)
def test_statements(text: str, expected: list[list[str]]) -> None:
    assert statements(text) == expected


def test_a_quote_that_is_not_closed() -> None:
    with pytest.raises(Usage, match="not closed"):
        statements('set a="b')


@given(st.text(max_size=60))
def test_any_text_is_statements_or_wrong_usage(text: str) -> None:
    with contextlib.suppress(Usage):
        assert all(statements(text))


def test_complex_values() -> None:
    assert parse_complex('(name=a,value="b,c=d")') == {"name": "a", "value": "b,c=d"}
    assert parse_complex("(priv=privileged,limit=5,action=deny)")["limit"] == "5"
    for wrong in ("x", "(a)", "(a=b,c)"):
        with pytest.raises(Usage):
            parse_complex(wrong)


@given(st.integers(1, 1 << 50))
def test_sizes_read_back(size: int) -> None:
    assert to_bytes(units(size)) == size


def test_sizes() -> None:
    assert [units(n) for n in (0, 1023, 1 << 20, 3 << 30)] == ["0", "1023", "1M", "3G"]
    assert to_bytes("0.5g") == 1 << 29
    with pytest.raises(Refused):
        to_bytes("many")


def test_macs() -> None:
    assert short_mac("02:08:20:00:0a:1b") == "2:8:20:0:a:1b"
    assert long_mac("2:8:20:0:A:1b") == "02:08:20:00:0a:1b"


# -- a VM as a configuration -----------------------------------------------------------------------
def test_info(run: Shell) -> None:
    status, out, err = on(run, "info")
    assert (status, err) == (0, "")
    assert out.startswith(INFO)
    assert "rctl:\n\tname: zone.cpu-cap\n\tvalue: (priv=privileged,limit=150,action=deny)\n" in out
    assert "limit=100,action=none" in out
    assert run.hulld.asked == []


def test_info_of_one_thing(run: Shell) -> None:
    assert on(run, "info", "autoboot")[1] == "autoboot: true\n"
    assert on(run, "info cpu-shares")[1] == "[cpu-shares: 100]\n"
    assert on(run, "info attr name=resolvers")[1] == (
        'attr:\n\tname: resolvers\n\ttype: string\n\tvalue: "1.1.1.1,9.9.9.9"\n'
    )
    assert on(run, "info dataset")[1] == ""
    assert on(run, "info nosuch")[0] == 2


def test_what_is_exported_makes_the_same_zone() -> None:
    config = from_vm(VM)
    again = _after(Config(), export(config).replace("create -b", "info dataset"))
    again.values["zonename"] = UUID
    assert {k: v for k, v in again.values.items() if v} == config.values

    assert sorted(map(vars_of, again.resources)) == sorted(map(vars_of, config.resources))


def vars_of(resource: Resource) -> str:
    values = sorted(resource.values.items())
    return f"{resource.kind} {values} {sorted(resource.properties.items())}"


def test_an_exported_zone_as_a_payload() -> None:
    payload = create_payload(from_vm(VM))
    assert payload["nics"] == [
        {
            "nic_tag": "admin",
            "mac": "02:08:20:00:0a:1b",
            "interface": "net0",
            "primary": True,
            "ips": ["10.0.0.5/24"],
            "gateways": ["10.0.0.1"],
        }
    ]
    same = ("uuid", "brand", "alias", "image_uuid", "quota", "max_swap", "cpu_cap", "resolvers",
            "limit_priv", "autoboot", "filesystems", "max_shm_memory")  # fmt: skip
    assert {key: payload[key] for key in same} == {key: VM[key] for key in same}
    assert "v" not in payload


# -- what changes come to --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "payload"),
    [
        (["info autoboot"], {}),
        (["set autoboot=false"], {"autoboot": False}),
        (['set limitpriv="default,dtrace_user"'], {"limit_priv": "default,dtrace_user"}),
        (["set cpu-shares=250", "set max-lwps=99"], {"cpu_shares": 250, "max_lwps": 99}),
        (["clear cpu-shares"], {"cpu_shares": 100}),
        (["set max-shm-memory=1g"], {"max_shm_memory": 1024}),
        (["select capped-memory", "set physical=1G", "set swap=2048m", "end"],
         {"max_physical_memory": 1024, "max_swap": 2048}),
        (["select capped-cpu", "set ncpus=2", "end"], {"cpu_cap": 200}),
        (["remove capped-cpu"], {"cpu_cap": 0}),
        (["add rctl", "set name=zone.max-lwps", "add value (priv=privileged,limit=7,action=deny)",
          "end"], {"max_lwps": 7}),
        (["select attr name=alias", "set value=bmV3", "end"], {"alias": "new"}),
        (["remove attr name=resolvers"], {"resolvers": []}),
        (["add attr", "set name=hostname", "set type=string", "set value=web", "end"],
         {"hostname": "web"}),
        (["add attr", "set name=do-not-inventory", "set type=boolean", "set value=true", "end"],
         {"do_not_inventory": True}),
        (["remove fs dir=/data"], {"remove_filesystems": ["/data"]}),
        (["select fs dir=/data", "remove options ro", "end"],
         {"update_filesystems": [{"target": "/data", "source": "/pool", "type": "lofs",
                                  "options": ["nodev"]}]}),
        (["add fs", "set dir=/x", "set special=/y", "set type=lofs", "end"],
         {"add_filesystems": [{"target": "/x", "source": "/y", "type": "lofs", "options": []}]}),
        (["remove net mac-addr=2:8:20:0:a:1b"], {"remove_nics": ["02:08:20:00:0a:1b"]}),
        (["select net physical=net0", "set vlan-id=4",
          'add property (name=mtu,value="1400")', 'remove property (name=primary,value="true")',
          "end"],
         {"update_nics": [{"mac": "02:08:20:00:0a:1b", "vlan_id": 4, "mtu": 1400,
                           "primary": False}]}),
        (["add net", "set global-nic=admin", "set allowed-address=10.0.0.9/24",
          "set defrouter=10.0.0.1", "end"],
         {"add_nics": [{"nic_tag": "admin", "ips": ["10.0.0.9/24"], "gateways": ["10.0.0.1"]}]}),
    ],
)  # fmt: skip
def test_changes_as_a_payload(words: list[str], payload: JsonObject) -> None:
    assert changed(*words) == payload


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("set brand=lx", "brand cannot be changed"),
        ("set hostid=1", "hostid means nothing"),
        ("set autoboot=maybe", "neither true nor false"),
        ("set max-lwps=many", "is no number"),
        ("remove capped-memory", "not taken away"),
        ("add dataset; set name=zones/x; end", "when a zone is made"),
        ("add attr; set name=nosuch; set type=string; set value=1; end", "means nothing to Hull"),
        ("select attr name=alias; set value=???; end", "not in base64"),
        ("select attr name=vm-version; set value=2; end", "cannot be changed"),
        ("select capped-cpu; set ncpus=x; end", "is no number"),
        ("add device", "means nothing"),
        ("add capped-cpu", "already exists"),
        ("add attr; set name=x; end", "required property type not specified"),
        ("add net; commit", "cannot be in a resource"),
        ("select net physical=net9", "0 resources match"),
        ("remove net physical=net9", "no such net"),
        ("end", "no resource is open"),
    ],
)
def test_what_is_refused(words: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        changed(words)


@pytest.mark.parametrize(
    "words",
    ["nosuch", "set a", "set a=b", "add", "add x y", "add nosuch", "clear", "clear x", "select x",
     "info a b=c", "delete -x", "export -x", "add net; set a=b", "add net; add property x=y"],
)  # fmt: skip
def test_wrong_statements(words: str) -> None:
    with pytest.raises(Usage):
        changed(words)


# -- the command -----------------------------------------------------------------------------------
def test_a_good_end_commits(run: Shell) -> None:
    status, _, err = on(
        run, "set autoboot=false; info autoboot", answers=(None, [{"uuid": UUID}], VM)
    )
    assert (status, err) == (0, "")
    assert run.hulld.asked[0] == ("POST", f"/vms/{UUID}?action=update", {"autoboot": False})


@pytest.mark.parametrize("words", ["set autoboot=false; set x=y", "set autoboot=false; add net"])
def test_a_bad_end_does_not(run: Shell, words: str) -> None:
    assert on(run, words)[0] in (1, 2)
    assert run.hulld.asked == []


def test_exit_f_throws_away(run: Shell) -> None:
    assert on(run, "set autoboot=false; exit -F")[0] == 0
    assert run.hulld.asked == []


def test_no_such_zone(run: Shell) -> None:
    done = run("-z", "web", "info", answer=NotFound("unknown"))
    assert done.status == 1
    assert done.err == (
        "zonecfg: web: No such zone configured\n"
        "         Use 'create' to begin configuring a new zone.\n"
    )


def test_a_new_zone(run: Shell) -> None:
    run.hulld.answers[:] = [NotFound("unknown"), {"uuid": UUID}, [{"uuid": UUID}], VM]
    text = (
        "create -b; set autoboot=true; add attr; set name=dataset-uuid; set type=string; "
        "set value=IMAGE; end"
    )
    assert COMMAND.main(["-z", "web", "--", text]) == 0
    assert run.hulld.asked[1] == (
        "POST",
        "/zones?action=configure",
        {"brand": "joyent", "alias": "web", "autoboot": True, "image_uuid": "IMAGE", "nics": []},
    )


def test_create_of_what_is_there(run: Shell) -> None:
    assert "zone already exists" in on(run, "create")[2]
    assert "delete` it first" in on(run, "create", "-F")[2]


def test_delete_asks(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.isatty", lambda fd: False)
    status, _, err = on(run, "delete")
    assert (status, "not from terminal and -F not specified" in err) == (1, True)
    assert run.hulld.asked == []
    assert on(run, "delete", "-F", answers=({"uuid": UUID},))[0] == 0
    assert run.hulld.asked[0] == ("DELETE", f"/zones/{UUID}", None)


def test_at_a_prompt(
    run: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter(["set nosuch=1", "select net physical=net0", "info", "end", "exit"])
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return next(lines)

    monkeypatch.setattr("builtins.input", ask)
    monkeypatch.setattr("os.isatty", lambda fd: True)
    status, out, err = on(run)
    assert (status, out.splitlines()[0]) == (0, "net:")
    assert err == "zonecfg: a zone has no property nosuch\n"
    assert prompts == [
        *["zonecfg:nsa-box> "] * 2,
        *["zonecfg:nsa-box:net> "] * 2,
        "zonecfg:nsa-box> ",
    ]
    capsys.readouterr()


def test_from_standard_input(run: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.isatty", lambda fd: False)
    monkeypatch.setattr("sys.stdin", io.StringIO("info autoboot\n# a comment\ninfo brand\n"))
    assert on(run)[1] == "autoboot: true\nbrand: joyent\n"


def test_usage(run: Shell) -> None:
    assert run("info").status == 2
    assert run("-z", "web", "-f", "x", "info", answer=NotFound("")).status == 2


def test_a_resource_is_its_values() -> None:
    assert Resource("attr", {"name": "a"}) == Resource("attr", {"name": "a"})
    assert Resource("attr", {"name": "a"}) != Resource("attr", {"name": "b"})


def test_options_end_at_the_first_word() -> None:
    assert statements_last(["-z", "a", "create", "-b"]) == ["-z", "a", "--", "create", "-b"]
    assert statements_last(["-z", "a"]) == ["-z", "a"]
    assert zonecfg.COMMAND.name == "zonecfg"
