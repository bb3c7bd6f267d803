"""Prometheus metrics of a worker, and the merging of several processes' metrics into one page.

Base units; histograms for times. The only label of unbounded values is the stream, whose number is limited by
a setting: never a track, a query or a URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest

from streaming.vocabulary import FrameResult, StreamId

_AGE_S = (0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
_PROMPT_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0)


class WorkerMetrics:
    """The metrics of one worker. Thread-safe, as prometheus_client is."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        stream = ["stream"]
        self._frames = Counter(
            "saccade_frames", "Frames by outcome.", ["stream", "outcome"], registry=self.registry
        )
        self._age = Histogram(
            "saccade_frame_age_seconds",
            "From capture to publication.",
            stream,
            registry=self.registry,
            buckets=_AGE_S,
        )
        self._stage = Histogram(
            "saccade_stage_duration_seconds",
            "Time of a frame by stage.",
            ["stream", "stage"],
            registry=self.registry,
            buckets=_AGE_S,
        )
        self._prompt = Histogram(
            "saccade_prompt_to_mask_seconds",
            "From a query's acceptance to its first mask on a current frame.",
            stream,
            registry=self.registry,
            buckets=_PROMPT_S,
        )
        self._up = Gauge("saccade_stream_up", "1 while frames arrive.", stream, registry=self.registry)
        self._tracks = Gauge("saccade_tracks", "Objects tracked now.", stream, registry=self.registry)
        self._reconnects = Gauge(
            "saccade_reconnects_total", "Times a source was opened again.", stream, registry=self.registry
        )
        self._reader = Gauge(
            "saccade_source_reader", "1 for what reads it.", ["stream", "reader"], registry=self.registry
        )
        self._lost = Gauge(
            "saccade_results_lost_total", "Results that never reached Redis.", stream, registry=self.registry
        )

    def frame(self, result: FrameResult) -> None:
        """Count a tracked frame, the frames dropped before it, and its stages."""
        stream = result.stream_id
        self._frames.labels(stream, "tracked").inc()
        self._frames.labels(stream, "dropped").inc(result.dropped)
        self._stage.labels(stream, "decode").observe(result.latency_s.decode)
        self._stage.labels(stream, "track").observe(result.latency_s.track)
        self._tracks.labels(stream).set(len(result.tracks))

    def published(self, result: FrameResult) -> None:
        """Observe the frame age of a result that Redis has acknowledged."""
        self._age.labels(result.stream_id).observe(max(0.0, result.latency_s.total))

    def prompt_to_mask(self, stream_id: StreamId, seconds: float) -> None:
        """Observe the time from a query's acceptance to its first mask, seconds."""
        self._prompt.labels(stream_id).observe(seconds)

    def source(
        self, stream_id: StreamId, *, up: bool, reconnects: int, reader: str, results_lost: int
    ) -> None:
        """Set the state of a stream's source and the results lost on the way to Redis."""
        self._reader.remove_by_labels({"stream": stream_id})
        if reader:
            self._reader.labels(stream_id, reader).set(1)
        self._up.labels(stream_id).set(up)
        self._reconnects.labels(stream_id).set(reconnects)
        self._lost.labels(stream_id).set(results_lost)

    def forget(self, stream_id: StreamId) -> None:
        """Remove a stream's series, so that the page does not grow with removed streams."""
        for metric in vars(self).values():
            if metric is not self.registry:
                metric.remove_by_labels({"stream": stream_id})

    def collect(self) -> list[Metric]:
        """Return the families with their samples, as objects that can be pickled."""
        return list(self.registry.collect())


def exposition(processes: Iterable[Sequence[Metric]]) -> bytes:
    """Return one Prometheus page of the families of several processes, merged by name."""
    merged: dict[str, Metric] = {}
    for families in processes:
        for family in families:
            known = merged.setdefault(
                family.name, Metric(family.name, family.documentation, family.type, family.unit)
            )
            known.samples.extend(family.samples)
    return generate_latest(_Collected(list(merged.values())))


class _Collected(CollectorRegistry):
    """A registry of families that were collected elsewhere."""

    def __init__(self, families: Sequence[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return the families unchanged."""
        return iter(self._families)
