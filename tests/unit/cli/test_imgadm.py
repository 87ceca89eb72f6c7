# SPDX-License-Identifier: MPL-2.0
"""imgadm's tables, bar, messages and codes, with hulld's answers given."""

import json
import os
from collections.abc import Callable

import pytest

from hull.cli.command import parse
from hull.cli.image_make import manifest_of, value_of
from hull.cli.image_progress import bar, duration, size
from hull.cli.image_sources import changes, from_text, to_text
from hull.cli.image_table import matching, parse_filters, render, row_of, sort_rows
from hull.cli.image_words import CliError
from hull.cli.imgadm import COMMAND, Globals, attempt, option_message, short
from hull.cli.imgadm import run as run_given
from hull.errors import ActiveImageNotFound, ImageNotInstalled, NotFound, OriginNotInstalled
from hull.wire import Json, JsonObject

UUID = "01b2c898-945f-11e1-a523-af1afbe22822"
OTHER = "71101322-43a5-11e1-8f01-cf2a3031a7f4"
LISTED: list[JsonObject] = [
    {
        "manifest": {
            "uuid": UUID, "name": "smartos", "version": "1.6.3", "os": "smartos",
            "type": "zone-dataset", "published_at": "2012-05-02T15:15:24.123Z",
            "tags": {"role": "db"}, "public": True, "files": [{"size": 5}],
        },
        "zpool": "zones", "source": "https://x?channel=dev", "clones": 2, "cloneNames": ["a", "b"],
    },
    {
        "manifest": {
            "uuid": OTHER, "name": "ubuntu-10.04", "version": "1.0.1", "os": "linux",
            "type": "zvol", "published_at": "2012-01-20T00:00:00Z",
        },
        "zpool": "zones", "clones": 0, "cloneNames": [],
    },
]  # fmt: skip

TABLE = """\
UUID                                  NAME          VERSION  OS       TYPE          PUB
71101322-43a5-11e1-8f01-cf2a3031a7f4  ubuntu-10.04  1.0.1    linux    zvol          2012-01-20
01b2c898-945f-11e1-a523-af1afbe22822  smartos       1.6.3    smartos  zone-dataset  2012-05-02
"""


class Hulld:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, answer: Json = None, *reports: JsonObject) -> None:
        self.answer = answer
        self.reports = reports
        self.asked: list[tuple[str, str, Json]] = []

    def __call__(
        self,
        method: str,
        target: str,
        body: Json = None,
        progress: Callable[[JsonObject], None] | None = None,
    ) -> Json:
        self.asked.append((method, target, body))
        for report in self.reports if progress else ():
            assert progress
            progress(report)
        return self.answer


def run(argv: list[str]) -> int:
    return run_given(Globals(argv), Hulld())


def imgadm(hulld: Hulld, name: str, *argv: str) -> int:
    verb = COMMAND.verb(name)
    assert verb
    return verb.run(parse(verb, list(argv), hulld))


def test_list_prints_smartos_s_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert imgadm(Hulld([*LISTED]), "list") == 0
    assert capsys.readouterr().out == TABLE


def test_an_empty_table_has_no_header(capsys: pytest.CaptureFixture[str]) -> None:
    imgadm(Hulld({"images": [], "errors": []}), "avail")
    imgadm(Hulld([*LISTED]), "list", "os=plan9")
    assert capsys.readouterr().out == ""


def test_columns_order_and_filters(capsys: pytest.CaptureFixture[str]) -> None:
    columns = "name,published,tags.role,size,clones,source,nope"
    imgadm(Hulld([*LISTED]), "list", "-H", "-o", columns, "-s", "-clones", "name=~s")
    assert capsys.readouterr().out.splitlines() == [
        "smartos  2012-05-02T15:15:24Z  db  5  2  https://x?channel=dev  -"
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["os=smartos"], True),
        (["os=smart"], False),
        (["os=~smart"], True),
        (["os=~SMART"], False),
        (["public=true"], True),
        (["clones=2"], True),
        (["nope=x"], False),
        (["os=smartos", "name=x"], False),
        (["source=https://x?channel=dev"], True),
    ],
)
def test_filters(words: list[str], expected: bool) -> None:
    assert matching(row_of(LISTED[0]), parse_filters(words)) is expected


def test_a_bad_filter() -> None:
    with pytest.raises(CliError, match='invalid filter: "foo"') as caught:
        imgadm(Hulld([*LISTED]), "list", "foo")
    assert caught.value.code == "Usage"


def test_numbers_sort_as_numbers() -> None:
    rows: list[JsonObject] = [{"n": 10}, {"n": 9}, {"n": None}, {"n": 100}]
    found = sort_rows([(row, row) for row in rows], ["-n"])
    assert [row["n"] for row, _ in found] == [100, 10, 9, None]


def test_the_last_column_is_not_padded() -> None:
    assert render([{"a": "1", "b": "x"}], ["a", "b"], header=True) == ["A  B", "1  x"]


def test_json_output(capsys: pytest.CaptureFixture[str]) -> None:
    imgadm(Hulld([*LISTED]), "list", "-j", "os=linux")
    assert json.loads(capsys.readouterr().out) == [LISTED[1]]


def test_get_hides_the_children(capsys: pytest.CaptureFixture[str]) -> None:
    hulld = Hulld(LISTED[0] | {"children": {"snapshots": [], "clones": []}})
    imgadm(hulld, "get", UUID.upper())
    assert list(json.loads(capsys.readouterr().out)) == ["manifest", "zpool", "source"]
    assert hulld.asked == [("GET", f"/images/{UUID}", None)]
    imgadm(hulld, "info", "-r", UUID)
    assert "children" in json.loads(capsys.readouterr().out)


def test_import_says_what_hulld_says(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f'Importing {UUID} (smartos@1.6.3) from "http://x"', f"Imported image {UUID}"]
    hulld = Hulld({"uuid": UUID}, {"line": lines[0]}, {"done": 1, "total": 2}, {"line": lines[1]})
    assert imgadm(hulld, "import", "-S", "http://x", "--channel=dev", UUID.upper()) == 0
    assert capsys.readouterr() == ("\n".join([*lines, ""]), "")
    body = {"name": UUID, "source": "http://x", "channel": "dev"}
    assert hulld.asked == [("POST", "/images?action=import", body)]


@pytest.mark.parametrize("name", ["base-64", "base-64@1.0.0", "alpine:3", "quay.io/a/b:1"])
def test_an_image_has_many_names(name: str) -> None:
    hulld = Hulld({})
    imgadm(hulld, "import", name)
    assert hulld.asked == [("POST", "/images?action=import", {"name": name})]


@pytest.mark.parametrize(
    ("argv", "answer", "said"),
    [
        (["-a", "u"], {"type": "imgapi", "added": True}, 'Added "imgapi" image source "u"\n'),
        (
            ["-a", "u"],
            {"type": "imgapi", "added": False},
            'Already have "imgapi" image source "u", no change\n',
        ),
        (["-d", "u"], {"type": "imgapi", "deleted": True}, 'Deleted "imgapi" image source "u"\n'),
        (["-d", "u"], {"deleted": False}, 'Do not have image source "u", no change\n'),
        ([], [{"url": "a", "type": "imgapi"}, {"url": "b"}], "a\nb\n"),
        (
            ["-v"],
            [{"url": "a", "type": "imgapi"}, {"url": "bcd", "type": "imgapi", "insecure": True}],
            "URL  TYPE    INSECURE\na    imgapi  -\nbcd  imgapi  true\n",
        ),
    ],
)
def test_sources(
    argv: list[str], answer: Json, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imgadm(Hulld(answer), "sources", *argv) == 0
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("name", "argv", "code"),
    [
        ("import", [], "Usage"),
        ("import", ["a", "b"], "Usage"),
        ("import", ["/etc/passwd"], "Usage"),
        ("import", ["--zstream", UUID], "NotSupported"),
        ("get", [UUID[:-1] + "g"], "InvalidUUID"),
        ("ancestry", ["x"], "InvalidUUID"),
        ("sources", ["-a", "x", "-d", "y"], "Usage"),
        ("sources", ["-e", "--check"], "Usage"),
        ("sources", ["x"], "Usage"),
        ("install", ["-f", "x"], "Usage"),
        ("install", ["-m", "/nonexistent", "-f", "x"], "Usage"),
        ("create", [], "Usage"),
        ("create", ["-c", "lzma", UUID], "Usage"),
        ("create", ["-o", "x", "-p", "http://x", UUID], "Usage"),
        ("create", ["--max-origin-depth=1", UUID], "Usage"),
        ("create", ["--max-origin-depth=x", UUID], "Option"),
        ("create", [UUID, "name"], "Usage"),
        ("publish", ["-m", "x", "-f", "y"], "Usage"),
        ("vacuum", ["x"], "Usage"),
    ],
)
def test_what_is_refused_here(name: str, argv: list[str], code: str) -> None:
    hulld = Hulld()
    with pytest.raises(CliError) as caught:
        imgadm(hulld, name, *argv)
    assert (caught.value.code, hulld.asked) == (code, [])


@pytest.mark.parametrize(
    ("argv", "status", "start"),
    [
        ([], 1, "imgadm: "),
        (["--help"], 0, "imgadm: "),
        (["help", "import"], 0, "imgadm: Import"),
        (["import", "--help"], 0, "imgadm: Import"),
        (["--version"], 0, "imgadm 3.9.5\n"),
    ],
)
def test_help(argv: list[str], status: int, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(argv) == status
    out, err = capsys.readouterr()
    assert out.startswith(start)
    assert err == ""


@pytest.mark.parametrize(("word", "code"), [("bogus", "UnknownCommand"), ("-x", "Option")])
def test_unknown_words(word: str, code: str) -> None:
    with pytest.raises(CliError, match="unknown") as caught:
        run([word])
    assert caught.value.code == code


def test_the_bar_of_the_slide() -> None:
    line = bar(UUID, 2_967_470, 693_000_000, 4.888, 100)
    assert line.startswith("01b2c898-945f-11e1-a523-a  [>")
    assert line.endswith("]    0%   2.83MB 592.86KB/s 18m56s")
    assert len(line) == 100
    assert bar("x", 10, 10, 1.0, 60).count("=") == bar("x", 10, 10, 1.0, 60).index("]") - 4


@pytest.mark.parametrize("width", [1, 10, 40, 79, 200])
@pytest.mark.parametrize(("done", "total"), [(0, 0), (0, 10), (5, 10), (10, 10), (20, 10)])
def test_a_bar_fits_every_terminal(width: int, done: int, total: int) -> None:
    assert len(bar(UUID, done, total, 1.0, width)) <= width


def test_units() -> None:
    assert [size(n) for n in (0, 1023, 2048, 3 << 20, 5 << 40)] == [
        "0B", "1023B", "2.00KB", "3.00MB", "5.00TB",
    ]  # fmt: skip
    assert [duration(n) for n in (0, 59.9, 61, 1168, 3725)] == [
        "0s", "59s", "1m01s", "19m28s", "1h02m",
    ]  # fmt: skip


def test_long_options_are_the_short_ones() -> None:
    assert short(["--json", "--type=docker", "--", "--json"]) == [
        "-j",
        "-t",
        "docker",
        "--",
        "--json",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("unknown option: -x", 'unknown option: "-x"'),
        ("option -S needs a value: URL", 'do not have enough args for "-S" option'),
        ("option --json takes no value", "option --json takes no value"),
    ],
)
def test_complaints_about_options(given: str, said: str) -> None:
    assert option_message(given) == said


# -- errors ----------------------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def _as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_others_than_root(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert attempt(Globals(["list"]), Hulld([]), 40) == 2
    assert capsys.readouterr() == ("", "imgadm: error: cannot run: you are not root\n")
    assert attempt(Globals(["help"]), Hulld([]), 40) == 0


def failing(error: Exception) -> Callable[..., Json]:
    def call(*args: object, **more: object) -> Json:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (ImageNotInstalled("gone"), "ImageNotInstalled", 3),
        (OriginNotInstalled("gone"), "OriginNotInstalled", 3),
        (ActiveImageNotFound("gone"), "ActiveImageNotFound", 1),
        (NotFound("gone"), "InvalidArgument", 1),
    ],
)
def test_errors_have_smartos_s_codes(
    error: Exception, code: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert attempt(Globals(["get", UUID]), failing(error), 40) == status
    assert capsys.readouterr() == ("", f"imgadm get: error ({code}): gone\n")


def test_a_record_of_the_error_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert attempt(Globals(["-E", "get", UUID]), failing(ImageNotInstalled("gone")), 40) == 3
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert (record["name"], record["level"], record["msg"], record["v"]) == (
        "imgadm",
        50,
        "gone",
        0,
    )
    error = record["err"]
    assert (error["code"], error["message"]) == ("ImageNotInstalled", "gone")
    assert error["name"] == "ImageNotInstalledError"
    assert "Traceback" in error["stack"]


def test_no_command_is_an_error_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert attempt(Globals(["-E"]), Hulld(), 40) == 1
    out, err = capsys.readouterr()
    assert out.startswith("imgadm: ")
    assert json.loads(err.splitlines()[-1])["err"]["code"] == "NoCommand"


def test_avail_shows_what_works_and_tells_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    failures: list[Json] = [
        {"code": "DownloadError", "message": "one"},
        {"code": "HostError", "message": "two"},
    ]
    hulld = Hulld({"images": [*LISTED], "errors": failures})
    assert attempt(Globals(["avail"]), hulld, 40) == 1
    out, err = capsys.readouterr()
    assert out == TABLE
    assert err == (
        "imgadm avail: error (MultiError): multiple (2) errors\n"
        "    error (DownloadError): one\n    error (InternalError): two\n"
    )


# -- sources -e ------------------------------------------------------------------------------------
def test_the_list_for_the_editor_reads_back() -> None:
    listed: list[JsonObject] = [
        {"url": "https://a", "type": "imgapi"},
        {"url": "https://bcd", "type": "docker", "insecure": True},
    ]
    assert from_text(to_text(listed)) == listed
    assert from_text("https://x # mine\n\n# https://y\n") == [
        {"url": "https://x", "type": "imgapi"}
    ]
    with pytest.raises(CliError, match="unknown source option: quick"):
        from_text("https://x imgapi quick")
    assert changes(listed, listed[::-1]) == ["Reordered image sources"]
    assert changes(listed, listed[:1]) == ['Deleted "docker" image source "https://bcd" (insecure)']


# -- create, update, vacuum ------------------------------------------------------------------------
def test_a_manifest_of_words() -> None:
    assert [value_of("x", word) for word in ("true", "1", '"1"', "a b", "{", '{"a": []}')] == [
        True, 1, "1", "a b", "{", {"a": []},
    ]  # fmt: skip
    assert [value_of("version", word) for word in ("1.0", '"1.0"')] == ["1.0", "1.0"]
    verb = COMMAND.verb("create")
    assert verb
    args = parse(verb, [UUID, "name=x", "version=1.0.0", "public=false", "tags=a=b"], Hulld())
    assert manifest_of(args) == {
        "name": "x", "version": "1.0.0", "public": False, "tags": "a=b",
    }  # fmt: skip


def test_vacuum_without_questions(capsys: pytest.CaptureFixture[str]) -> None:
    unused: list[Json] = [{"uuid": UUID, "title": "smartos@1.6.3"}]
    assert imgadm(Hulld(unused), "vacuum", "-nf") == 0
    assert capsys.readouterr().out == f"[dry-run] Deleted image {UUID} (smartos@1.6.3)\n"
    hulld = Hulld(unused)
    imgadm(hulld, "vacuum", "-f")
    assert hulld.asked[-1] == ("POST", "/images?action=vacuum", {"uuids": [UUID]})
    assert imgadm(Hulld([]), "vacuum") == 0


def test_docker_images(capsys: pytest.CaptureFixture[str]) -> None:
    tags: JsonObject = {"docker:id": "sha256:" + "ab" * 32, "docker:repo": "docker.io/library/x"}
    head: JsonObject = {
        "uuid": UUID, "type": "docker", "name": "x", "origin": OTHER,
        "published_at": "2026-01-02T03:04:05.678Z",
        "tags": tags | {"docker:tag:3": True, "docker:tag:latest": True},
    }  # fmt: skip
    layer: JsonObject = {"uuid": OTHER, "type": "docker", "name": "y", "tags": {**tags}}
    listed: list[Json] = [{"manifest": head}, {"manifest": layer}, LISTED[0]]
    imgadm(Hulld(listed), "list", "--docker")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["UUID", "REPOSITORY", "TAG", "IMAGE_ID", "CREATED"],
        [UUID, "docker.io/library/x", "3", "abababababab", "2026-01-02T03:04:05Z"],
        [UUID, "docker.io/library/x", "latest", "abababababab", "2026-01-02T03:04:05Z"],
    ]


def test_ancestry_keeps_its_order(capsys: pytest.CaptureFixture[str]) -> None:
    hulld = Hulld([*LISTED])
    imgadm(hulld, "ancestry", "-H", "-P", "zones", UUID)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == [
        "smartos", "ubuntu-10.04",
    ]  # fmt: skip
    assert hulld.asked == [("GET", f"/images/{UUID}/ancestry?pool=zones", None)]
