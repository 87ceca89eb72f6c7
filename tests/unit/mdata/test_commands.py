# SPDX-License-Identifier: MPL-2.0
"""The mdata commands' usage; what they do with a service is in tests/integration."""

import pytest

from mdata.commands import main


@pytest.mark.parametrize(
    "argv",
    [
        ["mdata-get"],
        ["mdata-get", ""],
        ["mdata-get", "a", "b"],
        ["mdata-list", "a"],
        ["mdata-put"],
        ["mdata-put", "a", "b", "c"],
        ["mdata-delete"],
    ],
)
def test_wrong_usage_is_3(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 3
    assert capsys.readouterr().err.startswith(f"usage: {argv[0]}")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/native/mdata/bin/mdata-put", "--help"]) == 0
    assert capsys.readouterr().out == "usage: mdata-put KEY [VALUE]\n"
