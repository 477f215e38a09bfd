"""Proxies in the environment, and servers on this machine."""

import pytest

from nl2sql_align.flows.running.proxies import check_proxies, exempt_loopback
from nl2sql_align.tasks.base.errors import AlignError

PROXY = "http://proxy.example:3128"
LOOPBACK = "127.0.0.1,localhost"
# The environment, and the variables that change.
ENVIRONMENTS = {
    "without a proxy": ({"NO_PROXY": "a.example"}, {}),
    "with an empty proxy": ({"http_proxy": ""}, {}),
    "upper case": ({"HTTP_PROXY": PROXY}, {"NO_PROXY": LOOPBACK}),
    "lower case": ({"https_proxy": PROXY}, {"NO_PROXY": LOOPBACK}),
    "for all schemes": ({"ALL_PROXY": PROXY}, {"NO_PROXY": LOOPBACK}),
    "other exemptions stay": (
        {"HTTP_PROXY": PROXY, "NO_PROXY": "a.example, .b.example"},
        {"NO_PROXY": f"a.example,.b.example,{LOOPBACK}"},
    ),
    "a part is exempt": (
        {"HTTP_PROXY": PROXY, "NO_PROXY": "localhost"},
        {"NO_PROXY": "localhost,127.0.0.1"},
    ),
    "both variables": (
        {"HTTP_PROXY": PROXY, "NO_PROXY": "a.example", "no_proxy": "b.example"},
        {"NO_PROXY": f"a.example,{LOOPBACK}", "no_proxy": f"b.example,{LOOPBACK}"},
    ),
    "an empty variable": (
        {"HTTP_PROXY": PROXY, "no_proxy": ""},
        {"no_proxy": LOOPBACK},
    ),
    "all is exempt": ({"HTTP_PROXY": PROXY, "no_proxy": "*"}, {}),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_servers_on_this_machine_are_exempt_from_proxies(name):
    given, changed = ENVIRONMENTS[name]
    environment = dict(given)
    exempt_loopback(environment)
    assert environment == given | changed
    exempt_loopback(environment)
    assert environment == given | changed


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [("ftp://proxy.example", "invalid address"), ("socks9://proxy.example", "invalid address")],
)
def test_a_proxy_that_the_client_refuses_is_reported_without_its_address(
    proxy, reason, monkeypatch
):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "all_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    check_proxies()
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(AlignError, match=rf"proxy in ALL_PROXY \({reason}\); set NO_PROXY='\*'"):
        check_proxies()
    monkeypatch.setenv("NO_PROXY", "*")
    check_proxies()
