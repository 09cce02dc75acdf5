"""What `--ray` takes: a cluster that runs, and nothing that would start one."""

from __future__ import annotations

import sys
import types

import pytest

from metastra.errors import ConfigError
from metastra.integrations.ray_pool import connected


@pytest.mark.parametrize(
    "address", ["local", "", "here", "ray://head:10001", ":6379", "head:", "head:0", "head:99999"]
)
def test_an_address_of_another_kind_never_reaches_ray(monkeypatch, address):
    """Ray would start a cluster of its own at ``local``."""
    asked = []
    ray = types.SimpleNamespace(init=lambda **told: asked.append(told), shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(ConfigError, match="expected HOST:PORT"), connected(address):
        pass
    assert asked == []


def test_auto_is_handed_on(monkeypatch):
    """The cluster this machine is in, which Ray finds itself."""
    asked = []
    ray = types.SimpleNamespace(init=lambda **told: asked.append(told), shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with connected("auto"):
        pass
    assert [told["address"] for told in asked] == ["auto"]
