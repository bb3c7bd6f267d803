"""How well the running service does: a clip with a known truth on air, and what Redis says of it.

    on_air.py       a clip over a real RTSP server, and which of its pictures is on at a moment
    watching.py     what a stream publishes, read back from Redis as any consumer would
    apart.py        a service of a measurement's own, and a live stream on it
    promises.py     from when on which words of a query can be judged
    flow.py         frames a second, frame ages, drops
    processor.py    which process used how much of the processor and the memory
    line.py         `saccade bench line`: the speed of the whole line
    load.py         `saccade bench load`: many words on many streams at once
    crowd.py        queries whose words change, and what came of them
    pace.py         how a stream went on while words were being answered
    drawn.py        clips with words that mean the same for a while, for `live.py`
    live.py         `saccade eval`: words on live streams
    live_score.py   how they are judged

Rules. The service is the real one (`actors.service`): Ray, gateway, Redis, RTSP; nothing is measured from
inside it. Judging that costs time waits until the service has stopped.
"""
