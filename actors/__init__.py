"""Processes: who runs what, who restarts whom. The only package that knows Ray.

Theory of operation
    `supervisor.py` holds what people asked for (desired) against what runs (actual) and mends the
    difference twice a second. It runs in the main process beside the gateway.
    `worker.py` is a process that hosts streams. Each stream has a source thread that decodes and a
    line thread that tracks and publishes; frames never leave the process.
    `grounder.py` is the process of the language model. It serves all streams from one bounded
    queue (`keyframe_queue.py`) in which the newest keyframe of a query wins and who waited longest
    is next; an answer in words leaves by `mouth.py` while it is still being said.
    `session.py` is one stream's line and knows no Ray: a test runs it with plain objects.
    `cli.py` is the command `saccade`; its commands are in `commands/`.

Rules
    Classes here are plain; Ray is applied where they are started (`ray.remote(...)(cls)`).
    A dead process is restarted by Ray (`max_restarts=-1`) and filled again by the supervisor.
    May import everything; only `service.py` and `commands/streams.py` know the `dashboards`.
"""
