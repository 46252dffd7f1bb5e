"""By which suffix of its name a file is taken for a video."""

from __future__ import annotations

__all__ = ["VIDEO_SUFFIXES"]

# What FFmpeg names for the formats that may be opened (see `ffmpeg_allowlist`), and what cameras,
# recorders and older programs call files of these formats. A test compares it with FFmpeg's own
# lists. It is data, as the machine that registers videos need not have FFmpeg, and has to find the
# same files whatever version it has. Left out: sound, pictures, subtitles, playlists, raw frames
# without a header, and suffixes that mostly belong to other files (.ogg is sound, .dat anything).
_MP4 = "3g2 3gp 3gp2 3gpp 360 f4p f4v insv ismv lrv m4v mj2 mov mp4 mp4v mpg4 mqv psp qt"
_MATROSKA_OGG = "mk3d mkv webm ogm ogv ogx"
_WINDOWS_REAL_FLASH = "amv asf avi divx dvr-ms wm wmv wtv xvid ivr rm rmvb rv flv kux swf"
_MPEG = "dvd evo m2p mod mpe mpeg mpg tod vob vro m2t m2ts mts tp trp ts ty ty+ pva"
_RECORDERS = "cine dav dif dv gxf ifv lxf mlv mxf nsv nut nuv r3d viv"
_STREAMS = (
    "264 265 266 av1 avc avs2 avs3 cavs dnxhd dnxhr drc evc h261 h263 h264 h265 h266 h26l hevc ivf "
    "m1v m2v mjpeg mjpg mpv obu rcv vc1 vc2 vvc y4m"
)
_ANIMATIONS = (
    "apng bik cdxl cpk flc fli flm gif hnm ipu moflex mvi roq sdr2 smk thp usm vmd xmv yop"
)
VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for names in (
        _MP4,
        _MATROSKA_OGG,
        _WINDOWS_REAL_FLASH,
        _MPEG,
        _RECORDERS,
        _STREAMS,
        _ANIMATIONS,
    )
    for name in names.split()
)
"""Lower case, with the dot."""
