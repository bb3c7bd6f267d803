"""The user interfaces over HTTP: REST, signalling, the live feed, the web page, Grafana panels.

Theory of operation. `gateway.create_app` makes an ASGI application from a `Control` (the operations of the
service, which the supervisor implements), a `ResultReader` (Redis, read only), and the settings with their
token. It translates HTTP requests to calls of `Control`, and errors to problem+json.

    request ─► guard.py (Host, Origin, token, size) ─► gateway.py (routes) ─► Control ─► the service
                                                          └─► problems.py (errors as RFC 9457)
    Redis ──► feed.py (one tail per stream) ──► every viewer of that stream, latest frame only

Rules. Requests that change the service need the bearer token; reading needs it only when the gateway is bound
to more than loopback. The page uses the public API only. A viewer's memory is bounded: one frame and a short
list of notes. User input is validated behind `Control`, once.

May import: `streaming` (never `streaming.sources`, `rtsp`, `webrtc`), FastAPI, Starlette, pydantic. Never
Ray, torch, PyAV.
"""
