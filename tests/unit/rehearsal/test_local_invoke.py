"""Containers are let in where Docker's bridge is; who has none, or another program on its ports, is told so."""

import socket

import pytest

from tests.rehearsal import launcher, local_invoke
from tests.rehearsal.local_invoke import Bridge, NoContainersError


@pytest.fixture
def port() -> int:
    with launcher.listening("127.0.0.1") as listener:
        free: int = listener.getsockname()[1]
        return free


def test_containers_reach_the_addresses_of_the_bridge(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(local_invoke, "DOCKER_BRIDGE", "lo")
    bridge = Bridge.open(port)
    with bridge.aws, bridge.database:
        sockets = [listener.getsockname() for listener in (bridge.aws, bridge.database)]
        assert sockets == [("127.0.0.1", port), ("127.0.0.1", local_invoke.database_port())]
        for address in sockets:
            socket.create_connection(address, 5).close()


def test_without_docker_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(local_invoke, "DOCKER_BRIDGE", "no-such-bridge")
    with pytest.raises(NoContainersError, match=r"^`sam local invoke` needs Docker: "):
        Bridge.open(port)


def test_a_port_that_another_program_has_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_invoke, "DOCKER_BRIDGE", "lo")
    with launcher.listening("127.0.0.1") as other:
        taken = other.getsockname()[1]
        expected = rf"^`sam local invoke` needs port {taken} of 127\.0\.0\.1: Address already in use\.$"
        with pytest.raises(NoContainersError, match=expected):
            Bridge.open(taken)
