"""GStreamer's end of WHIP and WHEP sessions, and its RTSP server: a program for the system's Python.

    check                        end with 0 if all that it needs is installed
    publish URL TOKEN ENCODER    send a red picture by WHIP
    watch URL TOKEN CODEC        play by WHEP, offering one codec; print the RGB of a pixel of each frame
    serve ENCODER TRANSPORT      print the URL of an RTSP stream of a red picture, by `tcp` or `udp` only

It runs until standard input is closed. It uses GStreamer's bindings (python3-gi) and the standard library.
Debian 12 has no `whipsink` and `whepsrc`, so it makes their HTTP requests itself.
"""

from __future__ import annotations

import sys
import threading
import time
import urllib.request
from typing import Any

import gi

for name in ("Gst", "GstWebRTC", "GstSdp", "GstRtsp", "GstRtspServer"):
    gi.require_version(name, "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer, GstSdp, GstWebRTC  # noqa: E402

RAW = "video/x-raw,width=320,height=192,framerate=30/1"
PICTURE = f"videotestsrc is-live=true pattern=red ! {RAW} ! videoconvert"
ENCODERS = {
    # High profile: 8x8 transforms and CABAC.
    "h264-high": "x264enc tune=zerolatency key-int-max=30 ! video/x-h264,profile=high"
    " ! rtph264pay config-interval=1 aggregate-mode=zero-latency",
    "vp8": "vp8enc deadline=1 keyframe-max-dist=30 ! rtpvp8pay",
}
DECODERS = {"H264": "rtph264depay ! h264parse ! openh264dec", "VP8": "rtpvp8depay ! vp8dec"}
FORMATS = {"H264": "encoding-name=H264,packetization-mode=(string)1", "VP8": "encoding-name=VP8"}
ELEMENTS = ("webrtcbin", "nicesrc", "srtpenc", "x264enc", "openh264dec", "vp8enc", "rtph264pay", "h264parse")


def check() -> None:
    """Exit with a message if an element is missing."""
    missing = [name for name in ELEMENTS if Gst.ElementFactory.find(name) is None]
    sys.exit(f"GStreamer has no {', '.join(missing)}." if missing else 0)


def publish(url: str, token: str, encoder: str) -> None:
    """Send the red picture by WHIP."""
    codec = "VP8" if encoder == "vp8" else "H264"
    caps = f"application/x-rtp,media=video,encoding-name={codec},payload=96"
    pipeline = Gst.parse_launch(
        f"webrtcbin name=peer bundle-policy=max-bundle {PICTURE} ! {ENCODERS[encoder]} ! {caps} ! peer."
    )
    peer = pipeline.get_by_name("peer")
    # Emitted by a thread of GStreamer's that must not wait.
    peer.connect(
        "on-negotiation-needed", lambda _: threading.Thread(target=negotiate, args=(peer, url, token)).start()
    )
    pipeline.set_state(Gst.State.PLAYING)
    run_until_closed()
    pipeline.set_state(Gst.State.NULL)


def watch(url: str, token: str, codec: str) -> None:
    """Play by WHEP, offering one codec only."""
    pipeline = Gst.Pipeline()
    peer = Gst.ElementFactory.make("webrtcbin")
    peer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
    pipeline.add(peer)
    rtp = "application/x-rtp,media=video,payload=96,clock-rate=90000"
    caps = Gst.Caps.from_string(f"{rtp},{FORMATS[codec]}")
    peer.emit("add-transceiver", GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY, caps)
    peer.connect("pad-added", lambda _, pad: play(pipeline, pad, codec))
    pipeline.set_state(Gst.State.PLAYING)
    negotiate(peer, url, token)
    run_until_closed()
    pipeline.set_state(Gst.State.NULL)


def play(pipeline: Any, pad: Any, codec: str) -> None:
    """Decode a received stream and print the pixel at (110, 80) of each frame."""
    sink = "appsink name=sink emit-signals=true sync=false"
    decoder = Gst.parse_bin_from_description(
        f"{DECODERS[codec]} ! videoconvert ! video/x-raw,format=RGB ! {sink}", True
    )
    pipeline.add(decoder)
    decoder.get_by_name("sink").connect("new-sample", print_pixel)
    pad.link(decoder.get_static_pad("sink"))
    decoder.sync_state_with_parent()


def print_pixel(sink: Any) -> Any:
    sample = sink.emit("pull-sample")
    width = sample.get_caps().get_structure(0).get_value("width")
    start = 3 * (80 * width + 110)  # rows of a multiple of four bytes have no padding
    print(*sample.get_buffer().extract_dup(start, 3), flush=True)
    return Gst.FlowReturn.OK


def negotiate(peer: Any, url: str, token: str) -> None:
    """Make an offer; once it has its candidates, POST it and take the answer."""
    created = Gst.Promise.new()
    peer.emit("create-offer", None, created)
    created.wait()
    reply = created.get_reply()  # the owner of the offer
    peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())
    while peer.get_property("ice-gathering-state") is not GstWebRTC.WebRTCICEGatheringState.COMPLETE:
        time.sleep(0.01)
    offer = peer.get_property("local-description").sdp.as_text()
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"}
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with without_proxy.open(urllib.request.Request(url, offer.encode(), headers), timeout=30) as response:
        _, sdp = GstSdp.SDPMessage.new_from_text(response.read().decode())
    answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
    peer.emit("set-remote-description", answer, Gst.Promise.new())


def serve(encoder: str, transport: str) -> None:
    """Serve the red picture over RTSP at a free port of loopback."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {PICTURE} ! {ENCODERS[encoder]} name=pay0 pt=96 )")
    factory.set_shared(True)
    factory.set_protocols(getattr(GstRtsp.RTSPLowerTrans, transport.upper()))
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    print(f"rtsp://127.0.0.1:{server.get_bound_port()}/live", flush=True)
    run_until_closed()


def run_until_closed() -> None:
    """Run GLib's main loop until standard input is closed."""
    loop = GLib.MainLoop()
    GLib.io_add_watch(0, GLib.PRIORITY_DEFAULT, GLib.IOCondition.HUP, lambda *_: loop.quit())
    loop.run()


if __name__ == "__main__":
    Gst.init(None)
    {"check": check, "publish": publish, "watch": watch, "serve": serve}[sys.argv[1]](*sys.argv[2:])
