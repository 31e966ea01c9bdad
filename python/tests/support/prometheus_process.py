"""A real Prometheus that scrapes a daemon and answers PromQL."""

import json
import math
import re
import subprocess
import threading
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

DEPLOY = Path(__file__).parents[3] / "deploy"


class Prometheus:
    """Prometheus with the configuration in deploy/, but for its target and a faster pace."""

    def __init__(self, program: str, folder: Path, target: str) -> None:
        config = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
        config = config.replace("127.0.0.1:9464", target)
        config = config.replace("scrape_interval: 5s", "scrape_interval: 500ms")
        config = config.replace("scrape_timeout: 3s", "scrape_timeout: 500ms")
        (folder / "prometheus.yml").write_text(config)
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._process.stderr is not None
        self._log = self._process.stderr
        seen = []
        for line in self._log:
            seen.append(line.decode())
            if found := re.search(r'"Listening on" address=(\S+)', seen[-1]):
                self._address = found[1]
            if "ready to receive web requests" in seen[-1]:
                break
        else:
            raise AssertionError(f"Prometheus does not start: {seen}")
        self._drain = threading.Thread(target=self._log.read, daemon=True)
        self._drain.start()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query, those that are not a number left out."""
        parameters = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(
            f"http://{self._address}/api/v1/query?{parameters}", timeout=10
        ) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return [sample for sample in result if not math.isnan(float(sample["value"][1]))]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._drain.join()
        self._log.close()


def dashboard_queries() -> list[tuple[str, str]]:
    """Return every panel's title and query as Grafana would send it, for all daemons."""
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "skbpool.json").read_text())
    found = []
    panels = list(dashboard["panels"])
    while panels:
        panel = panels.pop(0)
        panels.extend(panel.get("panels") or [])
        for target in panel.get("targets") or []:
            query = target["expr"].replace("$__rate_interval", "20s")
            query = query.replace("$job", ".*").replace("$instance", ".*")
            assert "$" not in query, query
            found.append((panel["title"], query))
    return found
