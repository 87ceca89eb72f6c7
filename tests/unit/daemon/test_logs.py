# SPDX-License-Identifier: MPL-2.0
"""Log lines as JSON, with the request they belong to, and never without end."""

import json
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull.daemon import job, logs
from hull.daemon.listen import Peer
from hull.daemon.route import Handler, Request, Route
from hull.errors import NotFound
from hull.wire import Json, JsonObject


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "log/hulld.log"
    handler = logs.configure(path, level=logging.DEBUG)
    yield path
    logging.getLogger().removeHandler(handler)
    logging.getLogger("hull").setLevel(logging.NOTSET)
    handler.close()


def lines(path: Path) -> list[JsonObject]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_in_bunyans_words(path: Path) -> None:
    token = logs.request_id.set("req-1")
    logging.getLogger("hull.run").debug("+ %s", 'echo "a\nb"')
    logs.request_id.reset(token)
    logging.getLogger("hull.run").warning("later")
    first, second = lines(path)
    assert first["msg"] == '+ echo "a\nb"'
    assert (first["name"], first["level"], first["v"], first["req_id"]) == ("hulld", 20, 0, "req-1")
    assert str(first["time"]).endswith("Z")
    assert first["hostname"]
    assert first["pid"]
    assert second["level"] == 40
    assert "req_id" not in second


def test_logs_do_not_fill_the_pool(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(100):
        logging.getLogger("hull.x").info("x" * 100_000)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.handlers.RotatingFileHandler):
                handler.maxBytes = 50_000
    files = list(path.parent.iterdir())
    assert len(files) == 1 + logs.KEPT
    assert sum(file.stat().st_size for file in files) < 300_000


def test_times() -> None:
    assert logs.iso_time(0.0005) == "1970-01-01T00:00:00.000Z"


PEER = Peer(42, 0)


def run(*, mutates: bool, error: Exception | None = None) -> job.Outcome:
    def handler(request: Request) -> Json:
        if error:
            raise error
        return {"uuid": request.params["uuid"]}

    route = Route(
        method="POST", path="/vms/{uuid}", action="stop", handler=handler, doc=".", mutates=mutates
    )
    return job.run(route, Request(params={"uuid": "u-1"}, request_id="req-7"), PEER)


def test_what_changes_the_host_is_audited(path: Path) -> None:
    assert run(mutates=True).status == 200
    assert run(mutates=True, error=NotFound("no u-1")).status == 404
    done, refused = lines(path)
    assert done["audit"] is True
    assert done["route"] == "/vms/{uuid}?action=stop"
    assert (done["target"], done["client_pid"], done["outcome"]) == ("u-1", 42, "ok")
    assert isinstance(done["milliseconds"], float)
    assert (refused["level"], refused["outcome"]) == (30, "NotFound: no u-1")


def test_what_only_reads_is_not(path: Path) -> None:
    run(mutates=False)
    (line,) = lines(path)
    assert (line["level"], line["audit"]) == (20, False)


def test_a_bug_is_logged_with_its_traceback_and_told_by_its_id(path: Path) -> None:
    outcome = run(mutates=True, error=KeyError("secret"))
    told = json.loads(outcome.body)
    assert (outcome.status, told["code"]) == (500, "InternalError")
    assert "req-7" in told["message"]
    assert "secret" not in told["message"]
    bug = lines(path)[0]["err"]
    assert isinstance(bug, dict)
    assert "Traceback" in str(bug["stack"])
    assert bug["name"] == "KeyError"


def test_a_result_that_is_no_json_is_a_bug(path: Path) -> None:
    route = Route(method="GET", path="/x", handler=lambda _: {1, 2}, doc=".")  # type: ignore[arg-type,return-value]  # the bug
    assert job.run(route, Request(), PEER).status == 500


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Path]:
    handler = logs.configure_jobs(tmp_path / "vm/logs")
    logging.getLogger("hull").setLevel(logging.DEBUG)
    yield tmp_path / "vm/logs"
    logging.getLogger().removeHandler(handler)
    logging.getLogger("hull").setLevel(logging.NOTSET)


def vm_route(handler: Handler, action: str = "start") -> Route:
    return Route(
        method="POST", path="/vms/{uuid}", action=action, handler=handler, doc="X.", mutates=True
    )


def do(route: Route, ident: str) -> None:
    token = logs.request_id.set(ident)
    job.run(route, Request(request_id=ident), Peer(4711, 0))
    logs.request_id.reset(token)


def test_a_job_has_a_log_of_its_own(jobs: Path) -> None:
    def handler(_: Request) -> Json:
        logging.getLogger("hull.run").debug("+ mount")
        token = logs.request_id.set("another")
        logging.getLogger("hull.run").debug("+ somebody else's")
        logs.request_id.reset(token)
        raise NotFound("it is gone")

    do(vm_route(handler), "req-7")
    (file,) = jobs.iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z-4711-vmadm\.log", file.name)
    first, last = lines(file)
    assert (first["name"], first["msg"], first["req_id"]) == ("vmadm", "+ mount", "req-7")
    assert (last["outcome"], last["audit"]) == ("NotFound: it is gone", True)
    logging.getLogger("hull.run").info("afterwards")
    assert len(lines(file)) == 2


def test_what_changes_no_vm_has_none(jobs: Path) -> None:
    do(vm_route(lambda _: None, "login"), "req-1")
    do(Route(method="GET", path="/vms", handler=lambda _: None, doc="X."), "req-2")
    do(Route(method="POST", path="/images", handler=lambda _: None, doc="X.", mutates=True), "r")
    assert not jobs.exists() or list(jobs.iterdir()) == []


def test_the_logs_of_jobs_are_bounded(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "KEPT_JOBS", 3)
    monkeypatch.setattr(logs, "MAX_JOB_BYTES", 50_000)

    def handler(_: Request) -> Json:
        for _again in range(20):
            logging.getLogger("hull.x").info("x" * 10_000)
        return None

    for number in range(5):
        do(vm_route(handler), f"req-{number}")
        time.sleep(0.002)  # a file is named by its millisecond
    files = sorted(jobs.iterdir())
    assert [lines(file)[0]["req_id"] for file in files] == ["req-2", "req-3", "req-4"]
    assert max(file.stat().st_size for file in files) < 70_000


def test_a_log_that_cannot_be_written_fails_no_job(jobs: Path) -> None:
    jobs.parent.write_text("a file where a directory should be")
    assert job.run(vm_route(lambda _: 1), Request(request_id="r"), Peer(1, 0)).status == 200
