"""Daemons in this process with listeners that need more than an address."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from certificates import Authority
from skbpool.client import Tls
from skbpool_service.config import load_settings
from skbpool_service.daemon import Daemon


@contextmanager
def daemon_with(*listeners: dict[str, Any], **settings: Any) -> Iterator[Daemon]:
    """Run a daemon with these listeners and a small pool."""
    small = {
        "metrics": "",
        "shutdown_deadline": 2.0,
        "pool": {"buffers": 2048},
        "limits": {"default_quota": 64},
        "listener": list(listeners),
    }
    with Daemon(load_settings(small | settings)) as daemon:
        yield daemon


def port(authority: Authority, *, client_ca: bool = False, **keys: Any) -> dict[str, Any]:
    """Return a listener on a free loopback port that speaks TLS."""
    tls = {"certificate": authority.certificate, "private_key": authority.private_key}
    if client_ca:
        tls["client_ca"] = authority.client_ca
    return {"address": "127.0.0.1:0", "tls": tls, **keys}


def nameless(authority: Authority) -> Tls:
    """Return what a client speaks TLS with whose certificate says nothing of who it is."""
    return Tls(authority.client_ca, *authority.nameless())


def named(authority: Authority, *names: str, common_name: str | None = None) -> Tls:
    """Return what a client speaks TLS with whose certificate has these names."""
    leaf = authority.ca.issue_cert(*names, common_name=common_name)
    files = authority.write(leaf, f"client-{'-'.join(names)}-{common_name}".replace("/", "_"))
    return Tls(authority.client_ca, *files)
