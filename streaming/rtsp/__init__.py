"""RTSP and RTSPS cameras (RFC 2326): session, authentication, SDP, depacketizers of H.264 and H.265."""
