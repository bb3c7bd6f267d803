"""Sources yield the frames of a stream: files, local cameras, and the base of RTSP and WHIP.

Theory of operation. A `Source` (`base`) runs on its own thread. After `start(deliver, report)` every decoded
frame goes to `deliver` as a `Frame`, every change of state to `report` as a `SourceStatus`. `deliver` is
normally `Latest.put`, which never blocks; with `Latest.put_blocking` a clip loses no frame.

    live       reconnecting sources: open, read, notice a stall, back off, open again (used by `camera` and
    RTSP) camera     a local camera, by Video4Linux2 clip       a file: paced like a camera or as fast as its
    frames are taken, looped or not ffmpeg     opens and reads what FFmpeg demuxes: files, local cameras, RTSP
    with rarer codecs decoder    packets in, RGB frames out timeline   keeps `pts_s` increasing over
    reconnects and loops factory    makes the source of a `StreamSpec`, of this package or of `streaming.rtsp`
    and `streaming.webrtc`

Rules. A source raises nothing into its neighbours: a failure is a state with a reason. Frame indices count
every decoded frame, dropped or not, and continue over reconnects. A live source retries without end. A source
holds the current packet and frame, and no more (RTSP: the packets that a slow decoder has not taken).

May import: av, numpy and `streaming`; aiortc only through `streaming.rtsp` and `streaming.webrtc`.
"""
