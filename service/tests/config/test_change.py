"""What of a changed configuration a running daemon takes over, and what it names as staying."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from skbpool_service.config import ConfigError, Settings, load_settings, merge
from skbpool_service.config.change import RELOADED, differing, renewed
from skbpool_service.config.model import Limits

Write = Callable[[str], None]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep settings of the person who runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("SKBPOOL_")]:
        monkeypatch.delenv(name)


class Configured:
    """A file, and the settings that were first read from it."""

    def __init__(self, file: Path, text: str):
        self.file = file
        file.write_text(text)
        self.live = load_settings({}, file)

    def renewed(self, text: str) -> tuple[Settings, list[str]]:
        """Return what `renewed` says when the file has changed."""
        self.file.write_text(text)

        def load(over: Any) -> Settings:
            return load_settings(merge(over, {}), self.file)

        return renewed(self.live, load)


def test_every_key_that_is_reloaded_is_one() -> None:
    dump = load_settings({}).model_dump()
    keys = {
        f"{key}.{name}" if isinstance(value, dict) and key != "roles" else key
        for key, value in dump.items()
        for name in (value if isinstance(value, dict) and key != "roles" else [key])
    }
    assert keys >= RELOADED
    assert len([key for key in RELOADED if key.startswith("limits.")]) < len(Limits.model_fields)


def test_what_can_change_does_and_the_rest_is_named(tmp_path: Path) -> None:
    configured = Configured(tmp_path / "c", "[limits]\nmax_pools = 3\n[pool]\nbuffers = 4096\n")
    settings, kept = configured.renewed(
        "shutdown_deadline = 3\n[limits]\nmax_pools = 4\nmax_streams = 5\n[pool]\nbuffers = 9000\n"
    )
    assert kept == ["limits.max_streams", "pool.buffers"]
    assert differing(settings, configured.live) == ["limits.max_pools", "shutdown_deadline"]
    assert (settings.limits.max_pools, settings.shutdown_deadline) == (4, 3.0)
    # The quota follows the pool that there is.
    assert (settings.pool.buffers, settings.max_quota) == (4096, 2048)


def test_what_does_not_fit_what_stays_changes_nothing(tmp_path: Path) -> None:
    configured = Configured(tmp_path / "c", "[pool]\nbuffers = 4096\n")
    with pytest.raises(ConfigError, match=r"limits.max_quota: 5000 views .* pool.buffers = 4096"):
        configured.renewed("[pool]\nbuffers = 9000\n[limits]\nmax_quota = 5000\n")


def test_listeners_stay_and_their_roles_change(tmp_path: Path) -> None:
    one = '[[listener]]\naddress = "unix:/a"\n'
    configured = Configured(tmp_path / "c", one)
    two = '[[listener]]\naddress = "unix:/b"\n'
    settings, kept = configured.renewed(f'{two}{one}roles = ["observe"]\nmode = "0600"\n')
    assert kept == ["listener unix:/a: mode", "listener unix:/b"]
    [listener] = settings.listeners
    assert (listener.roles, listener.mode) == (["observe"], "0660")
    assert configured.renewed(two)[1] == ["listener unix:/a", "listener unix:/b"]
    assert configured.renewed(one) == (configured.live, [])
