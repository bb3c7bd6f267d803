"""Checks which addresses a source may reach: schemes, networks, folders. Every source URL passes here.

Theory of operation. `parse_source_url` checks the text only. `check_source_url` also resolves a host name,
once, refuses every address that is not public unless the policy allows it, and rewrites the URL to the
checked address, so that a second resolution cannot lead elsewhere (DNS rebinding). Resolvers also accept
`127.1`, `0x7f000001` and `017700000001`; the resolved address is checked.

FFmpeg would follow redirects elsewhere: it reads RTSP through `rtsp.relay`.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from streaming.errors import InvalidStream, NotFound, RefusedAddress, SourceUnavailable
from streaming.settings import Settings

Scheme = Literal["rtsp", "rtsps", "whip", "file", "camera"]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL_CHARS = 2_048
DEFAULT_PORTS: dict[str, int] = {"rtsp": 554, "rtsps": 322}
RELAYED_SCHEMES = "rtmp rtmps srt rist rtp udp hls mms mmsh webrtc whep http https"
RELAY_IT = "Let go2rtc or MediaMTX read it, and give the rtsp:// URL that it serves."

NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's hypervisor, with secrets of the virtual machine
        "192.0.0.0/24",  # IETF protocol assignments (RFC 6890)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "fec0::/10",  # site-local (RFC 3879)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
"Networks that `ipaddress` of Python 3.11 takes for global ones."
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s]*@")
_RAW_PASSWORD = re.compile(
    r"""(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?:
        [^/?#@:\s.\[]+ : [^/?#\s]*[/?#][^\s]*@ (?=[^\s@]*[.:/])  # no dot in what would be the host: a user
      | [^/?#@:\s\[]+ : (?!\d{1,5}[/?]) [^/?#\s]*[/?#][^\s]*@    # what would be the port is none
      | [^/?@\s\#]*\#[^\s]*@                                     # no RTSP URL has a fragment
    )""",
    re.VERBOSE,
)
"""Credentials that hold `/`, `?` or `#`, which end the authority of a URL (RFC 3986 §3.2)."""
_SECRETS = (
    "user(?:name|id)?|usr(?:name)?|login(?:user?|pass?)?|pass(?:word|wd|code)?|pwd?|psw"
    "|token|auth|api_?key|key|secret|sig(?:nature)?"
)
_MASKED_VALUE = re.compile(  # also Xiongmai's path: /user=admin_password=x_channel=1_stream=0.sdp
    rf"(?P<key>[?&/;_](?:{_SECRETS})=)(?:(?!_(?:{_SECRETS}|channel|stream)=)[^&;\s])*", re.IGNORECASE
)
_WRITE_RTSP = "Write rtsp://[user:password@]host[:port]/path, percent-encoding the password."
_CAMERA = re.compile(
    r"(?:camera:(?P<number>\d{1,3})|(?P<device>/dev/video\d{1,3}))"
    r"(?:\?(?P<options>(?:(?:^|&|\b)(?:size=\d{1,5}x\d{1,5}|fps=\d{1,3}(?:\.\d{1,3})?|format=[a-z0-9_]{1,16})(?=&|$))+))?",
    re.ASCII,
)
_CAMERA_OPTIONS = {"size": "video_size", "fps": "framerate", "format": "input_format"}
"By option of a camera URL: FFmpeg's (v4l2)."


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """Addresses that sources may reach. The default allows public hosts and nothing on this machine."""

    schemes: tuple[str, ...] = ("rtsp", "rtsps", "whip", "file", "camera")
    allowed_hosts: tuple[str, ...] = ()
    "CIDR networks, addresses or host names that may be private, loopback or link-local."
    media_dirs: tuple[Path, ...] = ()
    "Folders whose files, at any depth, may be read; none: no files."

    @classmethod
    def from_settings(cls, settings: Settings) -> SourcePolicy:
        """Return the policy of the settings."""
        return cls(tuple(settings.allowed_schemes), tuple(settings.allowed_hosts), tuple(settings.media_dirs))


@dataclass(frozen=True, slots=True)
class ParsedSource:
    """A source URL that passed the guard."""

    scheme: Scheme
    location: str
    "What to open: an RTSP URL (pinned to `address` by `check_source_url`), a path, a device; empty for whip."
    shown: str
    "The URL as given, without credentials: for messages and logs."
    host: str = ""
    port: int = 0
    address: str = ""
    "The address that was checked; empty before a name is resolved."
    options: tuple[tuple[str, str], ...] = ()
    "FFmpeg's options for a camera."


def is_loopback(host: str) -> bool:
    """Return whether a host name or address, without brackets and port, is this machine's loopback."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def redact(text: str) -> str:
    """Return `text` with the credentials of every URL masked; safe to log and publish."""
    for pattern in (_RAW_PASSWORD, _USERINFO):
        text = pattern.sub(r"\g<scheme>***@", text)
    return _MASKED_VALUE.sub(r"\g<key>***", text)


def parse_source_url(url: str, policy: SourcePolicy) -> ParsedSource:
    """Check a URL without network access.

    Raises InvalidStream (not a source URL), RefusedAddress (scheme, folder or literal address not allowed),
    NotFound (a file within the media folders that is not there).
    """
    if not url or len(url) > MAX_URL_CHARS or not url.isprintable() or "\\" in url or " " in url.strip():
        raise InvalidStream(
            "A source URL must be 1 to 2,048 printable characters, without spaces or backslashes.",
            remedy="Percent-encode what a URL cannot hold.",
        )
    url = url.strip()
    scheme = _scheme_of(url)
    if scheme not in policy.schemes or scheme not in get_args(Scheme):
        raise RefusedAddress(
            f"Sources of the scheme {scheme!r} are not allowed.",
            remedy=RELAY_IT
            if scheme in RELAYED_SCHEMES.split()
            else f"Use one of {', '.join(policy.schemes)}, or add it to allowed_schemes.",
        )
    if scheme == "whip":
        return _parse_whip(url)
    if scheme == "camera":
        return _parse_camera(url)
    if scheme == "file":
        return _parse_file(url, policy.media_dirs)
    return _parse_rtsp(url, policy)


def check_source_url(url: str, policy: SourcePolicy) -> ParsedSource:
    """`parse_source_url`, and for a network source resolve the host once and pin the URL to its address.

    Blocks for the resolver's time. Raises what `parse_source_url` raises; SourceUnavailable if the name
    does not resolve; RefusedAddress if no address of it may be reached.
    """
    parsed = parse_source_url(url, policy)
    if parsed.scheme not in DEFAULT_PORTS:
        return parsed
    addresses = _resolve(parsed.host, parsed.port)
    for address in addresses:
        if _may_reach(address, parsed.host, policy.allowed_hosts):
            return _pin(parsed, address)
    raise _refused(parsed.host, addresses[0])


def _scheme_of(url: str) -> str:
    if url.startswith("/dev/video"):
        return "camera"
    scheme, colon, _ = url.partition(":")
    if not colon or "/" in scheme:
        return "file"
    return scheme.lower()


def _parse_whip(url: str) -> ParsedSource:
    if url.lower() != "whip:":
        raise InvalidStream(
            "A WHIP source is written `whip:` and nothing else.",
            remedy="The publisher comes to /whip/{id}; there is no address to give.",
        )
    return ParsedSource("whip", "", "whip:")


def _parse_camera(url: str) -> ParsedSource:
    match = _CAMERA.fullmatch(url)
    if match is None:
        raise InvalidStream(
            "A camera is written camera:N or /dev/videoN.",
            remedy="For example camera:0, or camera:0?size=1280x720&fps=30&format=mjpeg.",
        )
    device = match["device"] or f"/dev/video{int(match['number'])}"
    options = [(_CAMERA_OPTIONS[name], value) for name, value in parse_qsl(match["options"] or "")]
    return ParsedSource("camera", device, device, options=tuple(options))


def _parse_file(url: str, media_dirs: Sequence[Path]) -> ParsedSource:
    split = urlsplit(url) if url.lower().startswith("file:") else None
    if split is not None and split.netloc not in ("", "localhost"):
        raise InvalidStream("A file URL has no host.", remedy="Write file:///path/to/clip.mp4.")
    path = url if split is None else unquote(split.path)
    try:
        resolved = _file_below(path, media_dirs)
    except (OSError, RuntimeError, ValueError) as exc:  # a loop of links, a name too long, a zero byte
        raise NotFound("The path of this file cannot be followed.", remedy="Check the path.") from exc
    return ParsedSource("file", str(resolved), path)


def _file_below(path: str, media_dirs: Sequence[Path]) -> Path:
    # Resolved before the comparison, so that neither `..` nor a symbolic link leads out of the folders;
    # compared before the existence check, so that the error reveals nothing about the rest of the disk.
    resolved = Path(path).resolve()
    if not any(resolved.is_relative_to(folder.resolve()) for folder in media_dirs):
        raise RefusedAddress(
            "This file is not in a folder that sources may read.",
            remedy="Put it below one of media_dirs, or add its folder there.",
        )
    if not resolved.is_file():
        raise NotFound(f"There is no file {path}.", remedy="Check the path.")
    return resolved


def _parse_rtsp(url: str, policy: SourcePolicy) -> ParsedSource:
    if _RAW_PASSWORD.match(url):
        raise InvalidStream(
            "The user or the password holds a character that ends them in a URL.",
            remedy="Percent-encode the password: # is %23, / is %2F, ? is %3F, @ is %40.",
        )
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError as exc:
        raise InvalidStream("The source URL cannot be parsed.", remedy=_WRITE_RTSP) from exc
    scheme = cast(Scheme, split.scheme.lower())
    host = (split.hostname or "").rstrip(".")
    if not url[len(scheme) :].startswith("://") or not host:
        raise InvalidStream("The source URL has no host.", remedy=_WRITE_RTSP)
    literal = _literal(host)
    if literal is not None and not _may_reach(literal, host, policy.allowed_hosts):
        raise _refused(host, literal)
    return ParsedSource(scheme, url, redact(url), host, port or DEFAULT_PORTS[scheme])


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise SourceUnavailable(
            f"The host name {host} does not resolve.", remedy="Check the name and the resolver."
        ) from exc
    addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    # One address is pinned; IPv4 first, since cameras and `localhost` listen on it.
    return sorted(addresses, key=lambda address: address.version)


def _may_reach(address: Address, host: str, allowed_hosts: Sequence[str]) -> bool:
    real = _embedded(address)
    if _is_public(real):
        return True
    for allowed in allowed_hosts:
        try:
            network = ipaddress.ip_network(allowed, strict=False)
        except ValueError:
            if allowed.lower().rstrip(".") == host.lower():
                return True
        else:
            if real.version == network.version and real in network:
                return True
    return False


def _embedded(address: Address) -> Address:
    """Return the IPv4 address embedded in an IPv6 address (mapped, 6to4, Teredo, NAT64), or the address
    itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


def _is_public(address: Address) -> bool:
    # `is_global` excludes private, loopback, link-local, shared (100.64/10), documentation and
    # unspecified ranges, but not multicast.
    if any(address in network for network in NOT_PUBLIC if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _refused(host: str, address: Address) -> RefusedAddress:
    where = host if host == str(address) else f"{host} ({address})"
    return RefusedAddress(
        f"{where} is not a public address.",
        remedy=f"To allow it, add {address} or its network to allowed_hosts.",
    )


def _pin(parsed: ParsedSource, address: Address) -> ParsedSource:
    host = f"[{address}]" if address.version == 6 else str(address)
    pinned = replace_host(parsed.location, parsed.scheme, f"{host}:{parsed.port}")
    return replace(parsed, location=pinned, address=str(address))


def replace_host(url: str, scheme: str, host_and_port: str) -> str:
    """Return a URL with another scheme, host and port, and its credentials, path and query."""
    split: SplitResult = urlsplit(url)
    userinfo, at, _ = split.netloc.rpartition("@")
    return split._replace(scheme=scheme, netloc=f"{userinfo}{at}{host_and_port}").geturl()
