"""The plot of throughput: coordinates, units and words of what was sampled."""

from datetime import UTC, datetime, timedelta

from netboot.admin.pages.appliance.throughput_plot import HEIGHT, WIDTH, ProtocolSummary, throughput_plot
from netboot.telemetry.throughput import ThroughputSample, Traffic

NOW = datetime(2026, 11, 29, 2, 14, 30, tzinfo=UTC)


def sample(minutes_ago: float, tftp: int = 0, http: int = 0, content: int = 0) -> ThroughputSample:
    sent = {Traffic.TFTP: tftp, Traffic.HTTP: http, Traffic.CONTENT: content}
    return ThroughputSample(NOW - timedelta(minutes=minutes_ago), 10.0, sent)


def coordinates(points: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, point.split(","))) for point in points.split()]


def test_without_samples_the_axes_are_there_and_nothing_was_sent():
    plot = throughput_plot([], NOW)

    assert [area.points for area in plot.areas] == ["", "", ""]
    assert [tick.label for tick in plot.rates] == ["0 B/s", "250 B/s", "500 B/s", "750 B/s", "1.0 kB/s"]
    assert plot.text == "Sent to machines in the last hour: TFTP 0 B, HTTP 0 B, content 0 B."


def test_areas_lie_on_each_other_and_stay_in_the_plot():
    plot = throughput_plot([sample(60), sample(30, 1_000, 2_000, 9_000_000), sample(0, content=100)], NOW)

    tftp, http, content = (coordinates(area.points) for area in plot.areas)
    assert len(tftp) == len(http) == len(content) == 12
    assert tftp[2][1] >= http[2][1] >= content[2][1]
    assert http[:6] == list(reversed(content[6:]))  # content stands on HTTP
    assert all(plot.left <= x <= plot.right and plot.top <= y <= plot.bottom for x, y in [*tftp, *http, *content])
    assert (plot.width, plot.height) == (WIDTH, HEIGHT)
    assert plot.rates[-1].label == "1.0 MB/s"


def test_a_sample_of_now_ends_at_the_right_and_one_of_an_hour_before_begins_at_the_left():
    plot = throughput_plot([sample(60), sample(0)], NOW)

    xs = [x for x, _ in coordinates(plot.areas[0].points)]
    assert (min(xs), max(xs)) == (plot.left, plot.right)


def test_the_times_are_ten_minutes_of_the_clock():
    plot = throughput_plot([], NOW)

    assert [tick.label for tick in plot.times] == ["01:20", "01:30", "01:40", "01:50", "02:00", "02:10"]


def test_the_numbers_say_what_the_plot_shows():
    plot = throughput_plot([sample(2, tftp=40_000_000), sample(1, tftp=10_000), sample(0, content=1_000)], NOW)

    assert plot.summaries[0] == ProtocolSummary(
        "TFTP", "series-1", 40_010_000, "0 B/s", "4.0 MB/s", NOW - timedelta(minutes=2)
    )
    assert plot.summaries[1].peak_at is None
    assert plot.summaries[2].now == "100 B/s"
    assert plot.text == "Sent to machines in the last hour: TFTP 40.0 MB, HTTP 0 B, content 1.0 kB."
