"""Frames in, results out: everything about a stream that needs no model and no Ray.

Theory of operation. A `Source` (see `streaming.sources`) decodes on a thread of its own and calls
`deliver(frame)`; that is normally `Latest.put`, so the newest frame waits in one place and an older
one that nobody took is dropped and counted. The session takes from the same place, tracks, and publishes
a `FrameResult` through `results`. `keyframes` decides, without a clock of its own, which frames are
shown to the grounder, and `lookback` which pictures from before go with them.

Rules. Decisions are pure and take `now_s`; threads and sockets act on them. Every buffer has a capacity: full
means the oldest goes, counted. A foreign error becomes one of `streaming.errors` where it enters.

May import: numpy, pydantic and the standard library; `av` and `aiortc` only where pictures come in and
go out (`sources`, `whep`, `video_writer`), `redis` only in `results`. Never torch, ray, nor any other
package of ours.
"""
