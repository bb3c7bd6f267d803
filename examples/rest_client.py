"""Add a stream and a query to a running service over its REST API, and wait until the query has a mask.

saccade up          (in another terminal)
python examples/rest_client.py door rtsp://camera.example/stream1 "the red car"

The service is SACCADE_SERVER (http://127.0.0.1:8400), its token SACCADE_API_TOKEN (or .state/token).
"""

import os
import sys
import time
from pathlib import Path

import httpx

TIMEOUT_S = 60.0

stream, url, text = sys.argv[1:4]
server = os.environ.get("SACCADE_SERVER", "http://127.0.0.1:8400")
token = os.environ.get("SACCADE_API_TOKEN") or Path(".state/token").read_text().strip()


def call(method: str, path: str, body: dict[str, str] | None = None) -> dict:
    """Send a request and return its JSON. An error is problem+json (RFC 9457): say it and exit."""
    response = client.request(method, path, json=body)
    if response.is_error:
        problem = response.json()
        sys.exit(f"{problem['code']}: {problem['detail']} {problem['remedy']}")
    return response.json()


# trust_env=False: HTTP_PROXY is not for a service on this machine.
with httpx.Client(base_url=server, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
    call("POST", "/v1/streams", {"stream_id": stream, "url": url})
    query = call("POST", f"/v1/streams/{stream}/queries", {"text": text})
    deadline_s = time.monotonic() + TIMEOUT_S
    while query["prompt_to_mask_s"] is None and time.monotonic() < deadline_s:
        time.sleep(0.1)
        query = call("GET", f"/v1/queries/{query['query_id']}")
    print(f"{query['query_id']} {query['state']}: {query['answer']}")
    if query["prompt_to_mask_s"] is not None:
        print(f"first mask after {1000 * query['prompt_to_mask_s']:.0f} ms")
