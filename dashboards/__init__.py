"""What people look at: the gateway's HTTP, the live feed, one page, Grafana panels.

Theory of operation. `gateway.create_app` makes an ASGI application around three things it is handed: a
`Control` (what may be asked of the service; the supervisor implements it), a `ResultReader` (Redis, read
only) and the settings with their token. It owns nothing of the service and imports no Ray: it translates
HTTP to a call of `Control`, and errors to problem+json.

    request ─► guard.py (Host, Origin, token, size) ─► gateway.py (routes) ─► Control ─► the service
                                                          └─► problems.py (errors as RFC 9457)
    Redis ──► feed.py (one tail per stream) ──► every viewer of that stream, newest wins

Rules. Whatever changes the service needs the bearer token; watching needs it only where we are reachable from
other machines. The page lives by the same API as everybody. Each viewer costs one frame and a short list of
notes, however slow it is.

May import: `streaming` (never `streaming.sources`), FastAPI, Starlette, pydantic. Never Ray, torch, PyAV.
"""
