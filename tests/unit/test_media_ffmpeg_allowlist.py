"""FFmpeg opens the one file it is given, whatever the file says, through both decoders."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pytest

from vidsearch.errors import SourceNotFoundError, VideoOpenError
from vidsearch.media import open_decoder
from vidsearch.media.ffmpeg_allowlist import AV_OPTIONS, OPENCV_OPTIONS, opencv_restricted
from vidsearch.testing.clips import write_clip
from vidsearch.testing.odd_clips import patched

av = pytest.importorskip("av")
pytest.importorskip("cv2")

_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_EVERYTHING = "file,http,https,tcp,tls,udp,rtp,rtsp,crypto,data,concat,subfile,pipe"
_NEVER = "never followed"


@dataclass
class Bait:
    """A server that only counts, and a real video that nobody was asked to read."""

    port: int
    secret: Path
    contacts: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/segment.ts"


@contextmanager
def _counting_server() -> Iterator[tuple[int, list[str]]]:
    contacts: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                contacts.append("tcp")
                connection.settimeout(1)
                try:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.0 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                except OSError:
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1], contacts
    finally:
        over.set()
        thread.join()
        server.close()


@pytest.fixture(scope="module")
def bait(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bait]:
    folder = tmp_path_factory.mktemp("bait")
    secret = write_clip(folder / "secret.ts", [Fraction(i, 10) for i in range(20)], rate=10)
    with _counting_server() as (port, contacts):
        yield Bait(port, secret, contacts)


def _hls(segment: str, *, key: str = "") -> str:
    return (
        f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n{key}"
        f"#EXTINF:2.0,\n{segment}\n#EXT-X-ENDLIST\n"
    )


def _dash(url: str) -> str:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
        '<Period duration="PT2S"><AdaptationSet mimeType="video/mp4"><Representation id="1" '
        f'bandwidth="1000" width="128" height="96"><BaseURL>{url}</BaseURL><SegmentBase/>'
        "</Representation></AdaptationSet></Period></MPD>"
    )


def _attack(what: str, bait: Bait) -> str:
    url, local = bait.url, f"file://{bait.secret}"
    return {
        "hls": _hls(url),
        "hls of a local file": _hls(local),
        "hls of /etc/passwd": _hls("file:///etc/passwd"),
        "hls of concat": _hls(f"concat:{url}|{bait.secret}"),
        "hls of subfile": _hls(f"subfile,,start,0,end,0,,:{bait.secret}"),
        "hls with a key": _hls(local, key=f'#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n'),
        "hls master": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n",
        "m3u": f"#EXTM3U\n#EXTINF:1,x\n{url}\n",
        "dash": _dash(url),
        "dash of a local file": _dash(local),
        "ffconcat": f"ffconcat version 1.0\nfile {url}\n",
        "ffconcat of a local file": f"ffconcat version 1.0\nfile '{bait.secret}'\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "rtsp": f"rtsp://127.0.0.1:{bait.port}/x",
        "xspf": '<?xml version="1.0"?><playlist xmlns="http://xspf.org/ns/0/" version="1">'
        f"<trackList><track><location>{url}</location></track></trackList></playlist>",
        "asx": f'<ASX version="3.0"><Entry><Ref href="{url}"/></Entry></ASX>',
        "smil": f'<smil><body><video src="{url}"/></body></smil>',
        "pls": f"[playlist]\nFile1={url}\nNumberOfEntries=1\n",
        "shortcut": f"[InternetShortcut]\nURL={url}\n",
        "vobsub": "# VobSub index file, v7 (do not modify this line!)\nsize: 720x576\n"
        "id: en, index: 0\ntimestamp: 00:00:01:000, filepos: 000000000\n",
        "avisynth": f'AviSource("{bait.secret}")\n',
    }[what]


_ATTACKS = [
    pytest.param(what, name, reason, id=f"{what} as {name}".replace(" ", "-"))
    for what, names, reason in (
        ("hls", "a.m3u8 a.mp4 a.avi a.ts", f"playlist.*{_NEVER}"),
        ("hls of a local file", "a.m3u8 a.mp4", f"playlist.*{_NEVER}"),
        ("hls of /etc/passwd", "a.m3u8 a.mp4", f"playlist.*{_NEVER}"),
        ("hls of concat", "a.m3u8", f"playlist.*{_NEVER}"),
        ("hls of subfile", "a.m3u8", f"playlist.*{_NEVER}"),
        ("hls with a key", "a.m3u8", f"playlist.*{_NEVER}"),
        ("hls master", "a.m3u8 a.mp4", f"playlist.*{_NEVER}"),
        ("m3u", "a.m3u", f"playlist.*{_NEVER}"),
        ("dash", "a.mpd a.mp4", f"DASH manifest.*{_NEVER}"),
        ("dash of a local file", "a.mpd", f"DASH manifest.*{_NEVER}"),
        ("ffconcat", "a.ffconcat a.mp4", f"ffconcat.*{_NEVER}"),
        ("ffconcat of a local file", "a.ffconcat a.mp4", f"ffconcat.*{_NEVER}"),
        ("sdp", "a.sdp a.mp4", f"SDP.*{_NEVER}"),
        ("rtsp", "a.mp4", "text file"),
        ("xspf", "a.xspf", f"playlist.*{_NEVER}"),
        ("asx", "a.asx a.wmv", f"playlist.*{_NEVER}"),
        ("smil", "a.smil", f"playlist.*{_NEVER}"),
        ("pls", "a.pls", f"playlist.*{_NEVER}"),
        ("shortcut", "a.url", f"link.*{_NEVER}"),
        ("vobsub", "a.idx", "VobSub"),
        ("avisynth", "a.avs", "text file"),
    )
    for name in names.split()
]


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize(("what", "name", "reason"), _ATTACKS)
def test_file_that_names_other_files_is_refused(
    bait: Bait, tmp_path: Path, decoder: str, what: str, name: str, reason: str
) -> None:
    path = tmp_path / name
    path.write_text(_attack(what, bait), encoding="utf-8")
    (tmp_path / "a.sub").write_bytes(bait.secret.read_bytes())  # what a.idx would lead to
    bait.contacts.clear()
    for use in (_probe, _read):
        with pytest.raises(VideoOpenError, match=rf"^{name} is .*{reason}"):
            use(decoder, path)
    assert not bait.contacts


@pytest.mark.parametrize("what", ["hls", "ffconcat", "hls with a key"])
def test_ffmpeg_without_the_guard_asks_the_server(bait: Bait, tmp_path: Path, what: str) -> None:
    """The attacks are real: without the lists, with protocols as a host may allow them."""
    path = tmp_path / ("a.ffconcat" if what == "ffconcat" else "a.m3u8")
    path.write_text(_attack(what, bait), encoding="utf-8")
    bait.contacts.clear()
    options = {"protocol_whitelist": _EVERYTHING, "safe": "0"}
    with pytest.raises(av.FFmpegError), av.open(str(path), options=options) as container:
        next(container.decode(video=0))
    assert bait.contacts


@pytest.mark.parametrize("what", ["hls of a local file", "ffconcat of a local file"])
def test_ffmpeg_without_the_guard_reads_the_other_file(
    bait: Bait, tmp_path: Path, what: str
) -> None:
    path = tmp_path / ("a.ffconcat" if what.startswith("ffconcat") else "a.m3u8")
    path.write_text(_attack(what, bait), encoding="utf-8")
    with av.open(str(path), options={"safe": "0"}) as container:
        assert next(container.decode(video=0)).width == 128


def test_opencv_options_of_the_environment_are_not_used(
    bait: Bait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = f"protocol_whitelist;{_EVERYTHING}|format_whitelist;hls,mpegts"
    monkeypatch.setenv(_VARIABLE, mine)
    path = tmp_path / "a.m3u8"
    path.write_text(_hls(bait.url), encoding="utf-8")
    bait.contacts.clear()
    with pytest.raises(VideoOpenError, match="playlist"):
        _read("opencv", path)
    assert not bait.contacts
    assert os.environ[_VARIABLE] == mine


def test_opencv_options_of_the_environment_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_VARIABLE, raising=False)
    with opencv_restricted():
        assert os.environ[_VARIABLE] == OPENCV_OPTIONS
    assert _VARIABLE not in os.environ
    monkeypatch.setenv(_VARIABLE, "rtsp_transport;udp")
    with opencv_restricted():
        assert os.environ[_VARIABLE] == f"rtsp_transport;udp|{OPENCV_OPTIONS}"
    assert os.environ[_VARIABLE] == "rtsp_transport;udp"


def test_no_playlist_or_device_is_on_the_list() -> None:
    allowed = set(AV_OPTIONS["format_whitelist"].split(","))
    assert not allowed & {
        "hls", "dash", "imf", "concat", "sdp", "rtsp", "rtp", "sap", "image2", "image2pipe",
        "webm_dash_manifest", "vobsub", "vapoursynth", "avisynth", "lavfi", "tedcaptions",
        "video4linux2", "v4l2", "x11grab", "fbdev", "kmsgrab", "alsa", "oss", "rawvideo",
    }  # fmt: skip
    assert {"mov", "mp4", "matroska", "webm", "avi", "mpegts", "ogg", "flv", "gif"} <= allowed


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize(
    "name",
    ["concat:{0}|{0}", "subfile,,start,0,end,0,,:{0}", "file:{0}", "pipe:0", "data:,x", "http:x"],
)
def test_path_is_not_read_as_a_protocol(
    bait: Bait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoder: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceNotFoundError, match="no such file"):
        _read(decoder, Path(name.format(bait.secret)))


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", ["concat:a.ts|b.ts", "pipe:0", "data:,x", "subfile,,:a.ts"])
def test_a_file_may_be_called_like_a_protocol(
    bait: Bait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoder: str, name: str
) -> None:
    (tmp_path / name).write_bytes(bait.secret.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert _read(decoder, Path(name)) == 2


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_pattern_in_a_file_name_opens_no_image_sequence(tmp_path: Path, decoder: str) -> None:
    image = pytest.importorskip("PIL.Image")
    for number in range(3):
        image.new("RGB", (64, 48)).save(tmp_path / f"{number:03d}.png")
    with pytest.raises(SourceNotFoundError):
        _read(decoder, tmp_path / "%03d.png")
    with pytest.raises(VideoOpenError, match="still picture"):
        _read(decoder, tmp_path / "000.png")


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_movie_with_external_data_is_refused(bait: Bait, tmp_path: Path, decoder: str) -> None:
    """A data reference of QuickTime that leads to another file."""
    whole = write_clip(tmp_path / "whole.mov", [Fraction(i, 10) for i in range(20)], rate=10)
    path = _with_alias(whole, tmp_path / "alias.mov", leads_to=whole)
    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        assert sum(1 for _ in container.decode(video=0)) == 20  # left alone, it is followed
    with pytest.raises(VideoOpenError, match=r"alias\.mov keeps its pictures in another file"):
        _read(decoder, path)


def _with_alias(source: Path, target: Path, *, leads_to: Path) -> Path:
    """Turn the data reference ``url `` of a MOV into a Macintosh alias, and drop its data."""
    content = source.read_bytes()
    where = str(leads_to).encode()
    alias = bytearray(150)
    name = leads_to.name.encode()
    alias[10] = 1  # volume name
    alias[11:12] = b"v"
    alias[50] = len(name)
    alias[51 : 51 + len(name)] = name
    alias[130:134] = b"\x00\x01\x00\x01"  # levels from and to
    record = bytes(alias) + b"\x00\x02" + len(where).to_bytes(2, "big") + where
    record += bytes(len(where) % 2) + b"\xff\xff\x00\x00"
    entry = (12 + len(record)).to_bytes(4, "big") + b"alis" + bytes(4) + record
    start = content.index(b"dref")
    old = content.index(b"url ", start) - 4
    end = old + int.from_bytes(content[old : old + 4], "big")
    grown = content[:old] + entry + content[end:]
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        place = content.index(box) - 4
        size = int.from_bytes(content[place : place + 4], "big") + len(entry) - (end - old)
        grown = grown[:place] + size.to_bytes(4, "big") + grown[place + 4 :]
    target.write_bytes(grown)
    data = content.index(b"mdat")
    size = int.from_bytes(content[data - 4 : data], "big") - 8
    return patched(target, target, [(data + 4, bytes(size))])


def _probe(decoder: str, path: Path) -> None:
    open_decoder(decoder).probe(path)


def _read(decoder: str, path: Path) -> int:
    return sum(len(batch) for batch in open_decoder(decoder).frames(path))
