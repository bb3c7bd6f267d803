"""WebRTC: WHIP (RFC 9725) publishers in, WHEP (draft-ietf-wish-whep) viewers out, over aiortc."""
