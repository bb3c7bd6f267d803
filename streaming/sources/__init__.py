"""Where frames come from: cameras, browsers, files.

Theory of operation. A `Source` (`base`) runs on a thread of its own. `start(deliver, report)` begins; every
decoded picture goes to `deliver` as a `Frame`, every change of state to `report` as a `SourceStatus`.
`deliver` is normally `Latest.put`, which never waits; with `Latest.put_blocking` a clip loses no frame.

- `live`     what `rtsp` and `camera` share: open, watch, notice silence, wait, open again, for ever.
- `rtsp`     cameras. `rtsp_session` talks to one (`rtsp_messages`, `rtsp_auth`, `sdp`: its words, pure),
  `rtp` makes whole encoded pictures of its packets, pure.
- `decoder`  encoded pictures in, RGB pictures out.
- `pictures` what FFmpeg opens and reads by itself: files, local cameras, RTSP with rarer codecs.
- `clip`     a file as a live source: paced or as fast as it is taken, looped or not.
- `whip`     a browser publishes; `jitter` spares its pictures a wait.
- `peer`     WebRTC as `whip` and its counterpart `streaming.webrtc.whep` both need it.
- `timeline` keeps `pts_s` growing over reconnects and loops.
- `factory`  a `StreamSpec` and the settings → the right source.
- `rtsp_server` a real RTSP server that plays a clip, for the demo and the tests.

Rules. A source never raises into its neighbours: trouble is a state with a reason. Frame indices count every
decoded picture, dropped or not, and go on over reconnects. A live source retries for ever. Nothing here
keeps more than the packet and the picture in hand.

May import: av, aiortc, aioice, numpy and `streaming`.
"""
