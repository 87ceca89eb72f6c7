# SPDX-License-Identifier: MPL-2.0
"""limit_priv: from illumos's privileges to capabilities."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.brand.privilege import CAPABILITIES, DEFAULT, KNOWN, capabilities, privileges, problems

EVERYTHING = tuple(CAPABILITIES)


@pytest.mark.parametrize("limit_priv", [(), ("default",), ("default", "dtrace_user"), ("zone",)])
def test_a_zone_has_its_capabilities_by_default(limit_priv: tuple[str, ...]) -> None:
    assert capabilities(limit_priv) == EVERYTHING
    assert not list(problems(limit_priv))


@pytest.mark.parametrize(
    ("token", "lost"),
    [
        ("-file_chown", {"CAP_CHOWN"}),
        ("!proc_audit", {"CAP_AUDIT_WRITE"}),
        ("-net_rawaccess", {"CAP_NET_RAW", "CAP_NET_BROADCAST"}),
        ("-sys_ip_config", {"CAP_NET_ADMIN"}),
        ("-sys_admin", {"CAP_SYS_ADMIN", "CAP_SYS_BOOT"}),
        ("-proc_setid", {"CAP_SETUID", "CAP_SETGID"}),
        ("-file_dac_read", {"CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"}),
        ("-proc_info", set()),
    ],
)
def test_what_is_taken_away_is_gone(token: str, lost: set[str]) -> None:
    assert set(EVERYTHING) - set(capabilities(("default", token))) == lost


def test_a_privilege_can_be_given_back() -> None:
    assert capabilities(("default", "-file_chown", "+file_chown")) == EVERYTHING
    assert set(capabilities(("basic", "sys_mount"))) == {"CAP_SETPCAP"}


@pytest.mark.parametrize(
    ("limit_priv", "message"),
    [
        (("default", "fly"), 'privilege "fly" is unknown'),
        (("default", "sys_devices"), 'privilege "sys_devices" is not permitted within'),
        (("default", "-proc_fork"), 'required privilege "proc_fork" is missing'),
        (("none",), 'required privilege "sys_mount" is missing'),
    ],
)
def test_what_zonecfg_refuses(limit_priv: tuple[str, ...], message: str) -> None:
    assert any(message in problem for problem in problems(limit_priv))


@given(st.lists(st.sampled_from([f"{sign}{name}" for name in sorted(KNOWN) for sign in ("", "-")])))
def test_nothing_is_ever_more_than_the_default(tokens: list[str]) -> None:
    assert set(capabilities(tokens)) <= set(EVERYTHING)
    assert privileges(["default", *tokens]) <= KNOWN
    assert privileges(["default"]) == DEFAULT
