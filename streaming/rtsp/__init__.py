"""RTSP and RTSPS cameras (RFC 2326), with H.264 (RFC 6184) and H.265 (RFC 7798) over interleaved RTP.

Theory of operation. `source` opens a `session`: one TCP connection to the address that the URL guard has
resolved, DESCRIBE, SETUP, PLAY, keep-alive. `messages` cuts its bytes into replies and interleaved packets,
`auth` answers digest and basic challenges, `sdp` reads the description, `depacketizer` assembles RTP packets
into access units, which `capture_clock` dates and `streaming.sources.decoder` decodes. Other codecs, UDP, and
cameras that this cannot follow are read by FFmpeg through `relay`.

Rules. All but `source`, `session` and `relay` are pure: bytes in, values out, no socket and no clock. Every
buffer that a server can fill has a bound. Nothing a server sends becomes an address to connect to.

May import: av, aiortc's RTP parser, and `streaming`. `streaming.sources.factory` opens it; nothing else needs
to.
"""
