"""Writes the dashboard: `make generate` runs this, `make lint` checks that the file is fresh.

python deploy/grafana/generate.py [--check]
"""

import sys
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import VariableRefresh
from panels import SOURCE, figure, latency_heatmap, panel, stacked

TARGET = Path(__file__).parent / "dashboards" / "skbpool.json"


def occupancy(board: Dashboard) -> Dashboard:
    """Where the buffers are."""
    green, amber, red = "green", "orange", "red"
    used = 'sum(skbpool_pool_buffers{place="in_flight", @}) / sum(skbpool_pool_buffers{@})'
    received = "sum(rate(skbpool_driver_frames_total{@}[$__rate_interval]))"
    dropped = "sum(rate(skbpool_dropped_frames_total{@}[$__rate_interval]))"
    violations = "sum(skbpool_pool_violations_total{@})"
    return (
        board.with_row(Row("Occupancy"))
        .with_panel(
            figure(
                "In flight",
                "Share of all buffers that somebody holds.",
                "percentunit",
                used,
                [(None, green), (0.7, amber), (0.9, red)],
            )
        )
        .with_panel(
            figure("Received", "Frames that landed in buffers.", "pps", received, [(None, green)])
        )
        .with_panel(
            figure(
                "Dropped",
                "Frames dropped anywhere, by drivers and for consumers.",
                "pps",
                dropped,
                [(None, green), (1, amber), (1000, red)],
            )
        )
        .with_panel(
            figure(
                "Violations",
                "Wrong releases that were caught. Anything but 0 is a bug.",
                "short",
                violations,
                [(None, green), (1, red)],
            )
        )
        .with_panel(
            stacked(
                "Buffers by place",
                "Free in the depot, parked in a thread's cache, or held; the sum is the pool.",
                "short",
                ("sum by (pool, place) (skbpool_pool_buffers{@})", "{{pool}} {{place}}"),
            )
        )
        .with_panel(
            stacked(
                "Views held, by holder",
                "References in flight, by what kind of holder answers for them.",
                "short",
                ("sum by (kind) (skbpool_held_views{@})", "{{kind}}"),
            )
        )
        .with_panel(
            panel(
                "Quota used, by consumer",
                "Views a consumer holds as a share of those it may hold. At 1 it misses frames.",
                "percentunit",
                (
                    "sum by (consumer) (skbpool_consumer_held_views{@})"
                    " / sum by (consumer) (skbpool_consumer_quota_views{@})",
                    "{{consumer}}",
                ),
            )
        )
        .with_panel(
            panel(
                "Free buffers and watermarks",
                "With fewer free buffers than the low watermark a pool is low, with as many as the"
                " high one it has recovered.",
                "short",
                ('sum by (pool) (skbpool_pool_buffers{place="free", @})', "{{pool}} free"),
                ("sum by (pool, mark) (skbpool_pool_watermark_buffers{@})", "{{pool}} {{mark}}"),
                ("sum by (pool) (skbpool_pool_low{@})", "{{pool}} is low"),
            )
        )
        .with_panel(
            panel(
                "Watermark crossings",
                "How often a pool became low and recovered, and how often an allocation found"
                " nothing for the first time since it became low.",
                "ops",
                (
                    "sum by (pool, mark)"
                    " (rate(skbpool_pool_watermark_crossings_total{@}[$__rate_interval]))",
                    "{{pool}} {{mark}}",
                ),
                (
                    "sum by (pool) (rate(skbpool_pool_exhaustions_total{@}[$__rate_interval]))",
                    "{{pool}} exhausted",
                ),
            )
        )
        .with_panel(
            panel(
                "Allocations by path",
                "Fast from a thread's cache, slow from the depot, empty when there was no buffer.",
                "ops",
                (
                    "sum by (path) (rate(skbpool_pool_allocations_total{@}[$__rate_interval]))",
                    "{{path}}",
                ),
                ("sum(rate(skbpool_pool_releases_total{@}[$__rate_interval]))", "released"),
            )
        )
    )


def holders(board: Dashboard) -> Dashboard:
    """Who has had how much for how long."""

    def largest(metric: str) -> tuple[str, str]:
        return f"max by (kind, holder) ({metric}{{@}})", "{{kind}} {{holder}}"

    return (
        board.with_row(Row("Holders"))
        .with_panel(
            panel(
                "Oldest view, by holder",
                "For how long a holder has had its oldest view, at least. A line that rises for"
                " ever is a leak.",
                "s",
                largest("skbpool_holder_oldest_age_seconds"),
            )
        )
        .with_panel(
            panel(
                "Peak of views, by holder",
                "Most views that a holder was seen to have.",
                "short",
                largest("skbpool_holder_peak_views"),
            )
        )
        .with_panel(
            panel(
                "Peak of memory, by holder",
                "Most bytes that a holder was seen to be charged for.",
                "bytes",
                largest("skbpool_holder_peak_bytes"),
            )
        )
    )


def rates(board: Dashboard) -> Dashboard:
    """What moves."""

    def rate(metric: str, by: str) -> str:
        return f"sum by ({by}) (rate({metric}{{@}}[$__rate_interval]))"

    return (
        board.with_row(Row("Rates"))
        .with_panel(
            panel(
                "Frames in, by driver",
                "Frames that landed in a buffer.",
                "pps",
                (rate("skbpool_driver_frames_total", "driver"), "{{driver}}"),
            )
        )
        .with_panel(
            panel(
                "Frames out, by consumer",
                "Frames handed over.",
                "pps",
                (rate("skbpool_consumer_frames_total", "consumer"), "{{consumer}}"),
            )
        )
        .with_panel(
            panel(
                "Bytes in and out",
                "Bytes of frames, as they lie in memory.",
                "Bps",
                ("sum(rate(skbpool_driver_bytes_total{@}[$__rate_interval]))", "in"),
                ("sum(rate(skbpool_consumer_bytes_total{@}[$__rate_interval]))", "out"),
            )
        )
        .with_panel(
            stacked(
                "Bytes copied, by stage",
                "Payload that the daemon copied; the transport's copies are not among them.",
                "Bps",
                (rate("skbpool_copied_bytes_total", "stage"), "{{stage}}"),
            )
        )
        .with_panel(
            stacked(
                "Frames copied, by stage",
                "Frames of those bytes.",
                "pps",
                (rate("skbpool_copied_frames_total", "stage"), "{{stage}}"),
            )
        )
        .with_panel(
            panel(
                "Unclaimed frames, by driver",
                "Frames that landed and that no consumer was there for. They are no drops.",
                "pps",
                (rate("skbpool_driver_unclaimed_frames_total", "driver"), "{{driver}}"),
            )
        )
    )


def drops(board: Dashboard) -> Dashboard:
    """What did not arrive, and why."""

    def rate(metric: str, by: str) -> str:
        return f"sum by ({by}) (rate({metric}{{@}}[$__rate_interval]))"

    return (
        board.with_row(Row("Drops"))
        .with_panel(
            stacked(
                "Drops by reason",
                "Frames a second, by drivers and for consumers.",
                "pps",
                (rate("skbpool_dropped_frames_total", "reason"), "{{reason}}"),
            )
        )
        .with_panel(
            stacked(
                "Missed, by consumer",
                "Frames that a consumer did not get, by reason. Its own: the others got them.",
                "pps",
                (
                    rate("skbpool_consumer_dropped_frames_total", "consumer, reason"),
                    "{{consumer}} {{reason}}",
                ),
            )
        )
    )


def latency(board: Dashboard) -> Dashboard:
    """How long frames and calls take."""

    def quantile(q: float, metric: str, by: str) -> str:
        buckets = f"sum by ({by}) (rate({metric}_bucket{{@}}[$__rate_interval]))"
        return f"histogram_quantile({q}, {buckets})"

    frame = "skbpool_frame_latency_seconds"
    return (
        board.with_row(Row("Latency"))
        .with_panel(
            panel(
                "Latency from arrival to release",
                "Quantiles of the time between a frame's arrival in the daemon and the release of a"
                " view of it. Buckets double, so a quantile is good to a factor of two.",
                "s",
                *((quantile(q, frame, "le"), f"p{q * 100:g}") for q in (0.5, 0.99, 0.999)),
            )
        )
        .with_panel(latency_heatmap())
        .with_panel(
            panel(
                "Calls by method and code",
                "gRPC calls that ended, streams included.",
                "ops",
                (
                    "sum by (method, code) (rate(skbpool_rpc_handled_total{@}[$__rate_interval]))",
                    "{{method}} {{code}}",
                ),
            )
        )
        .with_panel(
            panel(
                "Duration of calls, p99",
                "By method; for a stream it is how long the stream lived.",
                "s",
                (quantile(0.99, "skbpool_rpc_duration_seconds", "le, method"), "{{method}}"),
            )
        )
    )


def variable(name: str, label: str, values: str) -> QueryVariable:
    """A choice among label values; all of them at first."""
    return (
        QueryVariable(name)
        .label(label)
        .query(values)
        .datasource(SOURCE)
        .multi(True)
        .include_all(True)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


def build() -> str:
    """Return the dashboard as JSON."""
    board = (
        Dashboard("skbpool")
        .uid("skbpool")
        .description("Occupancy, holders, rates, drops by reason and latency of skbpool daemons.")
        .tags(["skbpool"])
        .refresh("5s")
        .time("now-15m", "now")
        .timezone("browser")
        .readonly()
        .tooltip(1)
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(variable("job", "Job", "label_values(skbpool_build_info, job)"))
        .with_variable(
            variable(
                "instance", "Instance", 'label_values(skbpool_build_info{job=~"$job"}, instance)'
            )
        )
    )
    for section in (occupancy, holders, rates, drops, latency):
        board = section(board)
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def main() -> int:
    """Write the file, or with --check compare it."""
    made = build()
    if "--check" in sys.argv[1:]:
        if TARGET.read_text() != made:
            print(f"{TARGET.name} is stale: run `make generate`", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
