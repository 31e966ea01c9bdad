"""Panels that ask Prometheus about the daemons that were chosen."""

from grafana_foundation_sdk.builders.common import (
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.builders.heatmap import Panel as Heatmap
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.common import (
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
FROM = 'job=~"$job", instance=~"$instance"'
"""Every query looks at the daemons that were chosen, and at nothing else."""


def query(expression: str, legend: str) -> Dataquery:
    """A range query; `@` in the expression stands for the chosen daemons."""
    return Dataquery().expr(expression.replace("@", FROM)).legend_format(legend).datasource(SOURCE)


def panel(title: str, text: str, unit: str, *queries: tuple[str, str]) -> TimeSeries:
    """Lines over time."""
    made = (
        TimeSeries()
        .title(title)
        .description(text)
        .unit(unit)
        .datasource(SOURCE)
        .min(0)
        .fill_opacity(8)
        .height(8)
        .span(12)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    for expression, legend in queries:
        made = made.with_target(query(expression, legend))
    return made


def stacked(title: str, text: str, unit: str, *queries: tuple[str, str]) -> TimeSeries:
    """Areas that add up."""
    stacking = StackingConfig().mode(StackingMode.NORMAL)
    return panel(title, text, unit, *queries).stacking(stacking).fill_opacity(30)


def figure(
    title: str, text: str, unit: str, expression: str, steps: list[tuple[float | None, str]]
) -> Stat:
    """One number, coloured by thresholds."""
    thresholds = ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE)
    thresholds = thresholds.steps([Threshold(value=value, color=color) for value, color in steps])
    return (
        Stat()
        .title(title)
        .description(text)
        .unit(unit)
        .datasource(SOURCE)
        .height(4)
        .span(6)
        .thresholds(thresholds)
        .with_target(query(expression, title))
    )


def latency_heatmap() -> Heatmap:
    """Where latencies lie over time."""
    rate = "sum by (le) (rate(skbpool_frame_latency_seconds_bucket{@}[$__rate_interval]))"
    return (
        Heatmap()
        .title("Latency, all of it")
        .description("How many views a second were released after how long.")
        .datasource(SOURCE)
        .height(8)
        .span(12)
        .calculate(False)
        .with_target(query(rate, "{{le}}").format(PromQueryFormat.HEATMAP))
    )
