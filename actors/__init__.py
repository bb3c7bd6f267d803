"""The actors of the service and what starts, watches and restarts them. The only product package with Ray.

Theory of operation
    The supervisor holds the desired state and runs in the main process beside the gateway. Each worker hosts
    streams: per stream a source thread that decodes and a tracking thread that tracks and publishes; frames
    never leave the worker. The grounder serves the keyframes of all streams with one model.

    A query's way: `supervisor.py` validates it, writes it to Redis and puts it into `desired_state.py`;
    `worker_client.py` sends the worker a delta; `worker.py` gives it to the stream's `session.py`, which
    records it in its `query_ledger.py`; `keyframe_policy.py` decides when it is asked; the worker sends the
    keyframe through `grounder_client.py` to `grounder.py`; the answer comes back to the session, and the next
    frame has its masks.

    `monitor.py` asks each actor for a heartbeat twice a second, which also carries the timing of each
    tracking thread. By the rules of `actor_health.py` an actor that is silent or has a hung thread is killed.
    A spare takes the place of what died, or it is made again; a new worker hosts version 0 and gets the whole
    state.

    A stream outlives its worker. `session.py` gives what the next frames depend on to `snapshot_writer.py`,
    at most once a second; `snapshot_store.py` writes it to a file. The next worker of the stream reads it,
    and the last results in Redis (`resumption_reader.py`); `resumption.py` decides how ids and indices go on.

Modules
    supervisor        decisions about streams, queries    service           Redis, gateway, supervisor
    desired_state     streams, queries, deltas            placement         which worker hosts a stream
    monitor           watches one actor                   actor_health      its rules, pure
    worker_client     sends a worker its deltas           redis_monitor     watches Redis
    worker            the worker actor                    hosted_stream     a stream's two threads
    session           frame, answers in; result out       query_ledger      record of a stream's queries
    keyframe_policy   which queries are due               frame_history     earlier frames of a keyframe
    grounder          the grounder actor                  keyframe_queue    its order and batches
    grounder_client   from worker to grounder             partial_answers   text while it is generated
    heartbeat         answers of actors, step timing      engine_loading    engines from settings
    ray_runtime       start, stop, calls, errors of Ray   child_process     a child that ends with us
    redis_server      our own Redis                       shutdown          signals and cancellation
    stream_snapshot   what outlives a worker, as bytes    snapshot_store    its files
    snapshot_writer   the thread that stores it           resumption        how a stream goes on
    resumption_reader reads what it goes on from          metrics           Prometheus
    rates             frame rate and frame age
    repeat_filter     suppresses repeated errors          log_repeats       and repeated log messages
    process_exit      notices that a process ended        open_files        limit of descriptors
    cli/              the command `saccade`

Rules
    Classes are plain; Ray is applied where they are started (`ray.remote(...)(cls)`).
    Policies are pure and get `now_s`; times are arguments (`MonitorTimes`), so tests pass small ones.
    May import all product packages; only `service.py` and `cli/streams.py` import `dashboards`.
"""
