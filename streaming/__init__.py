"""Frames in, results out: sources, the message types, their JSON, and Redis. No model and no Ray.

Theory of operation. A `Source` (`sources`, `rtsp`, `webrtc`) decodes on its own thread and calls
`deliver(frame)`, normally `Latest.put`: the newest frame waits in one slot, and a frame that it replaces is
dropped and counted. The tracking thread takes from that slot and publishes a `FrameResult` through
`results.writer`, which appends to Redis from a third thread.

    vocabulary · events · status    message types: frames, queries, answers, tracks, results, notes, states
    wire · results                  their JSON; Redis: writer, reader, desired state sources · rtsp · webrtc
    what yields frames: files, cameras, RTSP, WHIP; WHEP shows them latest · backoff · url_guard    the
    latest-frame slot; reconnect delays; which addresses a source may reach settings · validation · errors
    configuration, user input, the tree of errors

Rules. Decisions are pure and take the time as an argument; threads and sockets act on them. Every buffer has
a capacity: when it is full the oldest item is dropped and counted. An exception of a library becomes one of
`streaming.errors` in the module that calls the library.

May import: numpy, pydantic and the standard library; `av` only in `sources`, `rtsp`, `webrtc` and
`video_writer`, `aiortc` only in `rtsp` and `webrtc`, `redis` only in `results`. Never torch, ray or another
package of this project.
"""
