# SPDX-License-Identifier: MPL-2.0
"""The grammar that all commands share."""

import io
import json
import os
import sys
from pathlib import Path
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.cli import command
from hull.cli.command import Args, Command, Verb, parse, query, quote, read_payload, report
from hull.errors import (
    CommandFailed,
    Error,
    HostError,
    InvalidPayload,
    NotFound,
    Problem,
    Usage,
)
from hull.wire import Json


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


UUID = "59aaecb6-467d-4116-92bd-f31842d44c90"


def no_call(*args: object, **kwargs: object) -> Json:
    raise AssertionError(f"hulld was asked {args} {kwargs}")


def show(args: Args) -> int:
    print(args.words, sorted(args.options.items()))
    return 7


def fail(args: Args) -> int:
    raise NotFound(f"VM {args.word('UUID')} not found", hint="`vmadm list` shows the VMs")


VERB = Verb("show", show, "[-pH] [-o FIELD]", "Show it.", options={"-p": "", "-H": "", "-o": "F"})
PROBE = Command(
    "probe", "try the grammar", [VERB, Verb("fail", fail, "UUID", "Fail.", aliases=("break",))]
)
SOLE = Command("sole", "a command without verbs", [Verb("", show, "[WORD …]", "Show it.")])


def words_and_options(*argv: str) -> tuple[list[str], dict[str, str]]:
    args = parse(VERB, list(argv), no_call)
    return args.words, args.options


@pytest.mark.parametrize(
    ("argv", "words", "options"),
    [
        (["a", "b"], ["a", "b"], {}),
        (["-pH", "a"], ["a"], {"-p": "yes", "-H": "yes"}),
        (["a", "-p", "b"], ["a", "b"], {"-p": "yes"}),
        (["-o", "x,y"], [], {"-o": "x,y"}),
        (["-ox,y"], [], {"-o": "x,y"}),
        (["-pox"], [], {"-p": "yes", "-o": "x"}),
        (["-o", "-x"], [], {"-o": "-x"}),
        (["-o", ""], [], {"-o": ""}),
        (["-p", "--", "-H", "--"], ["-H", "--"], {"-p": "yes"}),
        (["-"], ["-"], {}),
    ],
)
def test_parse(argv: list[str], words: list[str], options: dict[str, str]) -> None:
    assert words_and_options(*argv) == (words, options)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-x"], "unknown option: -x"),
        (["-px"], "unknown option: -x"),
        (["--long"], "unknown option: --long"),
        (["-o"], "option -o needs a value: F"),
    ],
)
def test_an_option_that_the_verb_does_not_have_is_refused(argv: list[str], message: str) -> None:
    with pytest.raises(Usage, match=f"^{message}$"):
        words_and_options(*argv)


def test_long_options() -> None:
    verb = Verb("up", show, "", "", options={"--root": "DIR", "--destroy": ""})
    assert parse(verb, ["--root=/x", "--destroy"], no_call).options == {
        "--root": "/x",
        "--destroy": "yes",
    }
    assert parse(verb, ["--root", "/x"], no_call).options == {"--root": "/x"}
    assert parse(verb, ["--root="], no_call).options == {"--root": ""}
    with pytest.raises(Usage, match="takes no value"):
        parse(verb, ["--destroy=yes"], no_call)


@given(st.lists(st.text().filter(lambda text: not text.startswith("-"))))
def test_what_is_no_option_is_a_word(argv: list[str]) -> None:
    assert words_and_options(*argv) == (argv, {})
    assert words_and_options("--", *argv) == (argv, {})


def test_args() -> None:
    args = Args([UUID, "name", "extra"], {}, no_call)
    assert args.uuid() == UUID
    assert args.word("NAME") == "name"
    with pytest.raises(Usage, match=r'^too many arguments: "extra"$'):
        args.end()
    args.words.clear()
    args.end()
    with pytest.raises(Usage, match=r"^NAME is missing$"):
        args.word("NAME")


@pytest.mark.parametrize("word", ["", "foo", UUID[:-1], UUID + "0", UUID.replace("-", "x")])
def test_what_does_not_look_like_a_uuid(word: str) -> None:
    with pytest.raises(Usage, match=r"^Invalid or missing UUID"):
        Args([word] if word else [], {}, no_call).uuid()


def test_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert PROBE.main(["show"]) == 7
    assert PROBE.main(["show", "-x"]) == 2
    assert PROBE.main(["fail", "U"]) == 1
    assert PROBE.main(["break", "U"]) == 1
    assert PROBE.main([]) == 2
    assert PROBE.main(["shw"]) == 2
    assert capsys.readouterr().err == (
        "probe show: unknown option: -x\nTry `probe show --help`.\n"
        "probe fail: VM U not found\n            `vmadm list` shows the VMs\n"
        "probe fail: VM U not found\n            `vmadm list` shows the VMs\n"
        "probe: a command is missing\nTry `probe --help`.\n"
        'probe: Invalid command: "shw". Did you mean `show`?\nTry `probe --help`.\n'
    )


@pytest.mark.parametrize(
    ("exc", "said"),
    [
        (
            ModuleNotFoundError("No module named 'h11'", name="h11"),
            "sole: python3-h11 is not installed\n      run `make setup` once\n",
        ),
        (
            KeyError("x"),
            (
                "sole: failed in a way it should not have: KeyError('x')\n"
                "      that is a bug in Hull; HULL_DEBUG=1 shows where\n"
            ),
        ),
    ],
)
def test_what_none_of_us_raised(
    exc: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(args: Args) -> int:
        raise exc

    assert Command("sole", "fails", [Verb("", broken, "", "Fail.")]).main([]) == 1
    assert capsys.readouterr().err == said


def test_a_reader_that_leaves_and_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    duplicated: list[int] = []
    monkeypatch.setattr(os, "dup2", lambda old, new: duplicated.append(new))

    def leave(args: Args) -> int:
        raise BrokenPipeError

    def interrupt(args: Args) -> int:
        raise KeyboardInterrupt

    assert Command("c", "", [Verb("", leave, "", "")]).main([]) == 0
    assert duplicated == [1]
    assert Command("c", "", [Verb("", interrupt, "", "")]).main([]) == 130


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["help"]])
def test_help_goes_to_standard_output(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert PROBE.main(argv) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out == (
        "probe: try the grammar\n\n"
        "probe show [-pH] [-o FIELD]\n    Show it.\n      -p\n      -H\n      -o F\n"
        "probe fail UUID\n    Fail.\n\nSee probe(8).\n"
    )


def test_help_of_one_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert PROBE.main(["fail", "--help"]) == 0
    assert capsys.readouterr().out == (
        "probe: Fail.\n\nprobe fail UUID\n    Fail.\n\nSee probe(8).\n"
    )


def test_help_behind_two_dashes_is_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert PROBE.main(["show", "--", "--help"]) == 7
    assert capsys.readouterr().out == "['--help'] []\n"


def test_a_command_without_verbs_has_no_verb_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert SOLE.main(["help"]) == 7
    assert capsys.readouterr().out == "['help'] []\n"
    assert SOLE.main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("sole: a command without verbs\n\nsole [WORD …]\n")


def test_report_names_every_problem(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [Problem("quota", "is negative", "give 0 or more"), Problem("nics[0].ips", "?")]
    report("vmadm create", InvalidPayload(problems))
    assert capsys.readouterr().err == (
        "vmadm create: quota: is negative (give 0 or more)\nvmadm create: nics[0].ips: ?\n"
    )


@pytest.mark.parametrize(
    "error", [HostError("the pool is full"), CommandFailed(["btrfs"], 1, "no space\n")]
)
def test_report_of_one_line(error: Error, capsys: pytest.CaptureFixture[str]) -> None:
    report("vmadm", error)
    assert capsys.readouterr().err == f"vmadm: {error.message}\n"


@given(st.text())
def test_quote_is_undone_by_the_server(text: str) -> None:
    assert unquote(quote(text)) == text
    assert parse_qsl(query(a=text, b="x").removeprefix("?")) == [
        *([("a", text)] if text else []),
        ("b", "x"),
    ]


def test_query_leaves_out_what_is_empty() -> None:
    assert query(a="", b="") == ""
    assert query(a="1", b="", c="2") == "?a=1&c=2"


def payload_of(text: str, tmp_path: Path) -> Json:
    path = tmp_path / "payload.json"
    path.write_text(text, encoding="utf-8")
    return read_payload(Args([], {"-f": str(path)}, no_call), "create")


def test_a_payload_from_a_file(tmp_path: Path) -> None:
    assert payload_of('{"alias": "höst"}', tmp_path) == {"alias": "höst"}
    with pytest.raises(HostError, match=r"^Invalid JSON payload: Expecting"):
        payload_of("{", tmp_path)
    with pytest.raises(HostError, match=r"^Invalid JSON payload: it must be an object"):
        payload_of("[]", tmp_path)
    with pytest.raises(HostError, match=r"^File: /no/such does not exist.$"):
        read_payload(Args([], {"-f": "/no/such"}, no_call), "create")
    with pytest.raises(HostError, match=r"^cannot read "):
        read_payload(Args([], {"-f": str(tmp_path)}, no_call), "create")


def test_a_payload_never_comes_from_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda fd: fd == 0)
    for options in ({}, {"-f": "-"}):
        with pytest.raises(Usage, match=r"^Will not create from stdin when stdin is a tty.$"):
            read_payload(Args([], options, no_call), "create")


def test_a_payload_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    def fake_open(name: object, **kwargs: object) -> io.StringIO:
        opened.append((name, kwargs["closefd"]))
        return io.StringIO('{"alias": "x"}')

    monkeypatch.setattr("builtins.open", fake_open)
    monkeypatch.setattr(os, "isatty", lambda fd: False)
    assert read_payload(Args([], {}, no_call), "create") == {"alias": "x"}
    assert opened == [(0, False)]


def test_messages_do_not_go_where_data_goes(capsys: pytest.CaptureFixture[str]) -> None:
    command.say("done")
    command.print_json({"alias": "höst", "nics": []})
    captured = capsys.readouterr()
    assert captured.err == "done\n"
    assert captured.out == '{\n  "alias": "höst",\n  "nics": []\n}\n'


# -- terminals -------------------------------------------------------------------------------------
def test_a_terminal_obeys_nothing_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    command.guard_terminals()
    command.guard_terminals()
    print("a\tb\x1b]0;title\x07 \x9b2J \u202ekcab \x7f\rover")
    sys.stdout.writelines(["\rdrawn\r", "ä€\n"])
    assert terminal.getvalue() == (
        "a\tb\\u001b]0;title\\u0007 \\u009b2J \\u202ekcab \\u007f\\u000dover\n\rdrawn\\u000dä€\n"
    )


def test_json_on_a_terminal_is_the_same_json(monkeypatch: pytest.MonkeyPatch) -> None:
    value: Json = {"k": "".join(map(chr, (*range(0x300), *range(0x2000, 0x2100))))}
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    command.guard_terminals()
    command.print_json(value)
    assert json.loads(terminal.getvalue()) == value
    assert "\x9b" not in terminal.getvalue()


def test_what_is_no_terminal_gets_what_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command.guard_terminals()
    print("\x9b2J")
    assert capsys.readouterr().out == "\x9b2J\n"
    monkeypatch.setattr("sys.stdout", None)
    command.guard_terminals()
