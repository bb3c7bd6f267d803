"""Makes whole pictures of interlaced frames, with FFmpeg's filter bwdif."""

from __future__ import annotations

from collections.abc import Iterator

import av
from av import VideoFrame
from av.filter import Graph


class Deinterlacer:
    """Passes frames on unchanged until the first interlaced one.

    From then on a frame leaves when the next has come: the filter looks at both neighbours of a field. Frames
    keep their timestamps, side data and number.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._layout: tuple[int, int, str] | None = None

    def push(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """Take the next frame, None at the end; yield those that are whole now. Raises av.FFmpegError."""
        layout = None if frame is None else (frame.width, frame.height, frame.format.name)
        if self._graph is not None and layout != self._layout:
            yield from self._pass_through(None)
            self._graph = None
        if frame is None:
            return
        if self._graph is None and frame.interlaced_frame:
            self._graph, self._layout = _make_graph(frame), layout
        if self._graph is None:
            yield frame
        else:
            yield from self._pass_through(frame)

    def _pass_through(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        assert self._graph is not None
        self._graph.vpush(frame)
        while True:
            try:
                yield self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return


def _make_graph(frame: VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    bwdif = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
    return graph
