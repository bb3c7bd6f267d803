"""Two network namespaces joined by a cable, for tests between machines. Needs Linux and root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SERVICE_ADDRESS = "10.77.0.1"
VIEWER_ADDRESS = "10.77.0.2"
_NO_IPV6 = "/proc/sys/net/ipv6/conf/all/disable_ipv6"


@dataclass(frozen=True)
class Network:
    """A namespace with loopback and one other address."""

    name: str
    address: str

    @property
    def prefix(self) -> list[str]:
        """Return what to put before a command to run it there."""
        return ["ip", "netns", "exec", self.name]

    def wrapper(self, program: str, path: Path) -> Path:
        """Write a script that runs a program there."""
        path.write_text(f'#!/bin/sh\nexec {" ".join(self.prefix)} {program} "$@"\n')
        path.chmod(0o755)
        return path


@contextmanager
def two_networks() -> Iterator[tuple[Network, Network]]:
    """Yield (the service's, the viewer's); skip where there are no namespaces."""
    names = [f"saccade-{side}-{os.getpid()}" for side in ("service", "viewer")]
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("only Linux, with root and the program ip")
    try:
        for name in names:
            if _ip("netns", "add", name).returncode != 0:
                pytest.skip("only Linux where network namespaces may be made")
        cable = ["link", "add", "cable", "netns", names[0], "type", "veth", "peer", "name", "cable"]
        assert _ip(*cable, "netns", names[1]).returncode == 0
        networks = Network(names[0], SERVICE_ADDRESS), Network(names[1], VIEWER_ADDRESS)
        for network in networks:
            within = ("-n", network.name)
            # A link-local address becomes usable after a second: to Chromium a change of network, which ends
            # what it is loading.
            _ip("netns", "exec", network.name, "sh", "-c", f"echo 1 >{_NO_IPV6}")
            assert _ip(*within, "addr", "add", f"{network.address}/24", "dev", "cable").returncode == 0
            assert _ip(*within, "link", "set", "lo", "up").returncode == 0
            assert _ip(*within, "link", "set", "cable", "up").returncode == 0
            # Browsers gather candidates at the address of the default route.
            assert _ip(*within, "route", "add", "default", "dev", "cable").returncode == 0
        yield networks
    finally:
        for name in names:
            _ip("netns", "del", name)


def _ip(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ip", *arguments], capture_output=True, check=False)
