"""Redis: results and notes are written and read here, and the desired state is stored here.

    saccade:{<stream>}:frames|events|answers|words|errors    Redis Streams, one JSON message in field `data`
    saccade:streams, saccade:queries                         hashes id -> JSON, the desired state

Theory of operation. `writer` queues messages in an `outbox` and appends them from one thread, in pipelines,
under entry ids that it chooses itself, so that a retry writes nothing twice. A frame's result is appended by
a script: Redis reads its own clock, `redis_clock` converts that to ours, and `published_s` and
`latency_s.total` are filled in there. `reader` reads the newest messages or follows a stream. `desired_store`
holds what users asked for; it survives a restart. `keys` names the Redis Streams, their entries and the
hashes; `connection` opens clients of what `redis_url` names: a server, Sentinel's primary or a cluster.

Rules. Every Redis error becomes StoreUnavailable here. A URL's password appears in no message and in no log
line. `keys`, `outbox`, `redis_clock` and `redis_url` are pure. Needs Redis 5 or Valkey, with the commands
that docs/compatibility.md lists. A command has the keys of one hash tag, so that a cluster takes it.

May import: redis, pydantic and `streaming`. The only package that imports the client library.
"""
