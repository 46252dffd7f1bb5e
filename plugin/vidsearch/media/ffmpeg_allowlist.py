"""What FFmpeg may open: one local file, in a format that holds its own pictures.

Left alone, FFmpeg follows what a file says: a playlist (HLS, DASH, ffconcat, SDP) makes it open
other files and URLs, and a file's content decides, not its name. Both ways into FFmpeg are given
the same two lists here, and what FFmpeg opens in turn inherits them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["AV_OPTIONS", "OPENCV_OPTIONS", "opencv_restricted"]

_PROTOCOLS = "file"

# By the names of FFmpeg's demuxers; one that this FFmpeg does not have is passed over. Left out on
# purpose: playlists and scripts (hls, dash, concat, imf, sdp, rtsp, rtp, sap, webm_dash_manifest),
# whatever opens files beside the one given (image2, vobsub, ffmetadata, vapoursynth, avisynth),
# devices (lavfi, v4l2, x11grab, …), raw formats that match anything (rawvideo), and stills.
_DEMUXERS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,vvc,evc,av1,obu,ivf,h261,h263,"
    "ogg,flv,live_flv,kux,asf,asf_o,gif,apng,jpegxl_anim,mxf,gxf,lxf,nut,nuv,dv,dirac,dnxhd,vc1,"
    "vc1test,cavsvideo,avs2,avs3,mjpeg,mjpeg_2000,smjpeg,yuv4mpegpipe,rm,ivr,wtv,swf,vivo,flic,"
    "film_cpk,roq,smk,bink,wc3movie,4xm,ea,idcin,rl2,nsv,pva,ty,r3d,cine,filmstrip,dhav,"
    "hnm,mtv,mv,mvi,paf,psxstr,tiertexseq,tmv,thp,vmd,xmv,yop,amv,bfi,c93,dsicin,dxa,anm,bethsoftvid,"
    "ifv,ipu,luodat,moflex,argo_brp,avr,avs,cdxl,jv,lmlm4,mm,mlv,usm,v210,pmp,sdr2,"
    # Without pictures, or with cover art only; listed so that the message can say so.
    "mp3,wav,w64,flac,aac,ac3,eac3,dts,aiff,caf,amr,ape,wv,tta,au,tak,mpc,mpc8"
)

AV_OPTIONS: dict[str, str] = {
    "protocol_whitelist": _PROTOCOLS,
    "format_whitelist": _DEMUXERS,
    "enable_drefs": "0",  # a MOV file may keep its data in another file
    "use_absolute_path": "0",
}
"""For ``av.open(…, options=AV_OPTIONS)``; the file is to be given as an absolute path, so that its
name cannot be read as a protocol (``concat:…``, ``pipe:0``)."""

LATE_PICTURE_OPTIONS = {"analyzeduration": "21600000000", "probesize": "200000000"}
"""Microseconds and bytes that FFmpeg reads at most to get to know the streams, where the usual 5 s
hold no picture of the video."""

OPENCV_OPTIONS = "|".join(f"{name};{value}" for name, value in AV_OPTIONS.items())
"""The same for the variable ``OPENCV_FFMPEG_CAPTURE_OPTIONS``, see :func:`opencv_restricted`."""

_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_lock = threading.Lock()


@contextmanager
def opencv_restricted(*, late_picture: bool = False, raw_mjpeg: bool = False) -> Iterator[None]:
    """Create ``cv2.VideoCapture`` objects in here; with ``LATE_PICTURE_OPTIONS`` or for a row of
    JPEG pictures if asked for.

    OpenCV takes FFmpeg's options from a variable of the process, at each opening. Other code of
    this process may use OpenCV for cameras and streams, so the variable is set for no longer than
    an opening takes. What it held before stays in force, but for these options.
    """
    more = [f"{name};{value}" for name, value in LATE_PICTURE_OPTIONS.items() if late_picture]
    more += ["input_format;mjpeg"] if raw_mjpeg else []
    with _lock:
        before = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = "|".join([*([before] if before else []), OPENCV_OPTIONS, *more])
        try:
            yield
        finally:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before
