"""WebRTC by aiortc: WHIP (RFC 9725, a browser publishes) and WHEP (draft-ietf-wish-whep, a browser watches).

Theory of operation. `whip` is a `Source`: `offer` answers a publisher's SDP, its decoded frames cross from
the asyncio loop to the source's thread through a `Latest` slot. `whep` sends the newest frame of a stream to
each viewer, VP8, with RTP timestamps from which the page finds the frame's result. `peer` holds what both
need: parsing an offer, creating an answer; `ice` the addresses and ports of candidates. `jitter_buffer`
releases a frame with its RTP marker bit.

Rules. Coroutines run on the caller's asyncio loop; frames are pushed from any thread. Only host candidates
of the settings are offered; there is no STUN, TURN or trickle ICE. Publishers, viewers and backlogs are
bounded. Accesses to aiortc's private attributes are in `peer`, `ice` and `jitter_buffer` only, each with the
version it was read in.

May import: aiortc, aioice, av, numpy and `streaming`.
"""
