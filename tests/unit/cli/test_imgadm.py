# SPDX-License-Identifier: MPL-2.0
"""imgadm's tables, bar, messages and codes, with hulld's answers given."""

import json
from collections.abc import Callable

import pytest

from hull.cli.command import parse
from hull.cli.image_table import matching, parse_filters, render, row_of, sort_rows
from hull.cli.imgadm import COMMAND, CliError, bar, duration, run, size
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


def imgadm(hulld: Hulld, name: str, *argv: str) -> int:
    verb = COMMAND.verb(name)
    assert verb
    return verb.run(parse(verb, list(argv), hulld))


def test_list_prints_smartos_s_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert imgadm(Hulld([*LISTED]), "list") == 0
    assert capsys.readouterr().out == TABLE


def test_an_empty_table_has_no_header(capsys: pytest.CaptureFixture[str]) -> None:
    imgadm(Hulld([]), "avail")
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
    found = sort_rows([(row, row) for row in rows], "-n")
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


def test_import_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    named: JsonObject = {"uuid": UUID, "name": "smartos", "version": "1.6.3"}
    start = named | {"phase": "start", "source": "http://x"}
    hulld = Hulld(named | {"already": False}, start, {"phase": "download", "done": 1, "total": 2})
    assert imgadm(hulld, "import", "-S", "http://x", UUID) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f'Importing {UUID} (smartos@1.6.3) from "http://x"',
        f"Imported image {UUID} (smartos@1.6.3)",
    ]
    assert err == ""
    body = {"uuid": UUID, "source": "http://x"}
    assert hulld.asked == [("POST", "/images?action=import", body)]
    imgadm(Hulld(named | {"already": True}), "import", UUID)
    assert (
        capsys.readouterr().out == f"Image {UUID} (smartos 1.6.3) is already installed, skipping\n"
    )


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
        ("import", ["foo"], "InvalidUUID"),
        ("get", [UUID[:-1] + "g"], "InvalidUUID"),
        ("sources", ["-a", "x", "-d", "y"], "Usage"),
        ("install", ["-f", "x"], "Usage"),
        ("install", ["-m", "/nonexistent", "-f", "x"], "InvalidManifest"),
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
