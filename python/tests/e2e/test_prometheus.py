"""A real Prometheus scrapes the daemon and finds data for everything the dashboard asks."""

import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_process import DEPLOY, Prometheus, dashboard_queries
from skbpool_processes import Daemon, wait_until

pytestmark = pytest.mark.e2e

FindProgram = Callable[[str, str], str]


def test_the_configuration_is_valid(system_program: FindProgram) -> None:
    promtool = system_program("promtool", "prometheus")
    config = DEPLOY / "prometheus" / "prometheus.yml"
    subprocess.run([promtool, "check", "config", config], check=True, capture_output=True)


def test_what_is_exposed_is_well_formed(system_program: FindProgram, daemon: Daemon) -> None:
    promtool = system_program("promtool", "prometheus")
    with urllib.request.urlopen(f"http://{metrics_address(daemon)}/metrics", timeout=10) as answer:
        text = answer.read()
    linted = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert linted.returncode == 0, linted.stderr.decode()


@pytest.mark.timeout(120)
def test_every_query_of_the_dashboard_finds_data(
    system_program: FindProgram, tmp_path: Path, daemon: Daemon
) -> None:
    program = system_program("prometheus", "prometheus")
    queries = dashboard_queries()
    assert len(queries) > 20, "the dashboard lost its panels"
    with Prometheus(program, tmp_path, metrics_address(daemon)) as prometheus:
        wait_until(lambda: bool(prometheus.query("up == 1")), "the daemon is not scraped")
        # A tiny quota, so that some frames are missed and the panels of drops have something.
        flags = ("--name", "slow", "--quota", "16", "-w", "/dev/null")
        with daemon.start("subscribe", *flags) as subscriber:
            subscriber.stderr.wait_for("subscribed")
            with daemon.start("nic", "--rate", "200Mbps", "--duration", "12s") as nic:
                left = dict.fromkeys(queries)
                answers: dict[tuple[str, str], int] = {}

                def all_found() -> bool:
                    daemon.run("stat", "--json")
                    for key in list(left):
                        if found := prometheus.query(key[1]):
                            answers[key] = len(found)
                            del left[key]
                    return not left

                wait_until(all_found, lambda: f"no data for {list(left)}", deadline=60)
                assert nic.finish().code == 0
        assert set(answers) == set(queries)


@pytest.mark.timeout(120)
def test_promql_agrees_with_the_run(
    system_program: FindProgram, tmp_path: Path, daemon: Daemon
) -> None:
    program = system_program("prometheus", "prometheus")
    with Prometheus(program, tmp_path, metrics_address(daemon)) as prometheus:

        def total(metric: str) -> float:
            samples = prometheus.query(f"sum({metric})")
            return float(samples[0]["value"][1]) if samples else 0.0

        wait_until(lambda: bool(prometheus.query("up == 1")), "the daemon is not scraped")
        before = total("skbpool_driver_frames_total")
        report = daemon.run("nic", "--rate", "50kpps", "--duration", "1s", "--json").json
        expected = before + report["accepted"]
        wait_until(
            lambda: total("skbpool_driver_frames_total") == expected,
            lambda: f"{total('skbpool_driver_frames_total')} is not {expected}",
        )
        everywhere = prometheus.query("sum by (pool) (skbpool_pool_buffers)")
        sizes = prometheus.query("skbpool_pool_size_bytes / skbpool_pool_buffer_size_bytes")
        assert [float(sample["value"][1]) for sample in everywhere] == [
            float(sample["value"][1]) for sample in sizes
        ], "free, cached and in flight add up to the pool"


def metrics_address(daemon: Daemon) -> str:
    """Return where the daemon serves /metrics, as HOST:PORT."""
    return str(daemon.listening["metrics"]).removeprefix("http://").removesuffix("/metrics")
