"""Metrics: base units, streams as the only label, one page for all processes."""

from prometheus_client.parser import text_string_to_metric_families

from actors.metrics import WorkerMetrics, exposition
from streaming.vocabulary import Clock, FrameResult, Latency, StreamId


def result(stream: str, *, dropped: int = 0) -> FrameResult:
    return FrameResult(
        StreamId(stream), 7, 0.2, 100.0, Clock.ARRIVAL, 100.04, 640, 360, dropped, Latency(0.001, 0.02, 0.04)
    )


def samples(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def test_two_processes_are_merged_into_one_page_with_each_family_once() -> None:
    first, second = WorkerMetrics(), WorkerMetrics()
    first.frame(result("a", dropped=3))
    second.frame(result("b"))
    second.published(result("b"))
    page = exposition([first.collect(), second.collect()])
    assert page.count(b"# TYPE saccade_frames_total counter") == 1
    found = samples(page)
    assert found["saccade_frames_total", (("outcome", "tracked"), ("stream", "a"))] == 1
    assert found["saccade_frames_total", (("outcome", "dropped"), ("stream", "a"))] == 3
    assert found["saccade_frames_total", (("outcome", "tracked"), ("stream", "b"))] == 1
    assert found["saccade_frame_age_seconds_count", (("stream", "b"),)] == 1


def test_forget_removes_all_series_of_a_stream() -> None:
    metrics = WorkerMetrics()
    metrics.frame(result("a"))
    metrics.published(result("a"))
    metrics.prompt_to_mask(StreamId("a"), 0.2)
    metrics.source(StreamId("a"), up=True, reconnects=1, reader="native", results_lost=0)
    metrics.frame(result("b"))
    metrics.forget(StreamId("a"))
    labels = {
        value
        for _, pairs in samples(exposition([metrics.collect()]))
        for name, value in pairs
        if name == "stream"
    }
    assert labels == {"b"}


def test_no_label_is_a_track_or_a_query() -> None:
    metrics = WorkerMetrics()
    metrics.frame(result("a"))
    metrics.prompt_to_mask(StreamId("a"), 0.2)
    names = {name for _, pairs in samples(exposition([metrics.collect()])) for name, _ in pairs}
    assert names <= {"stream", "outcome", "stage", "le"}


def test_the_reader_of_a_source_is_one_at_a_time() -> None:
    metrics = WorkerMetrics()
    for reader in ("", "native", "ffmpeg"):
        metrics.source(StreamId("a"), up=True, reconnects=0, reader=reader, results_lost=0)
    found = samples(exposition([metrics.collect()]))
    readers = {labels: value for (name, labels), value in found.items() if name == "saccade_source_reader"}
    assert readers == {(("reader", "ffmpeg"), ("stream", "a")): 1}
