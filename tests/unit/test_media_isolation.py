"""The decoding child process: what goes wrong in it stays in it."""

from __future__ import annotations

import gc
import io
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tests.misbehaving_child import COMMAND
from tests.waiting import is_gone, until

from vidsearch.config import IngestSettings
from vidsearch.errors import (
    ConfigError,
    DecoderFailedError,
    DecoderKilledError,
    MissingExtraError,
    SourceNotFoundError,
    VideoError,
    VideoOpenError,
    VideoTooLargeError,
)
from vidsearch.media.frames import MediaLimits
from vidsearch.media.isolation.isolated_reader import IsolatedReader
from vidsearch.media.isolation.process import DecodingProcess
from vidsearch.media.isolation.protocol import FrameHeader, Setup
from vidsearch.media.readers import open_reader
from vidsearch.testing.clips import read_counter, write_clip

LINUX = sys.platform == "linux"
ROOT = Path(__file__).resolve().parents[2]

Clip = Callable[[str], Path]


def _setup(**changes: Any) -> Setup:
    values: dict[str, Any] = {
        "decoder": "pyav",
        "threads": 1,
        "max_damaged": 0.5,
        "max_seconds": 3600.0,
        "max_pixels": 1 << 20,
        "megabytes": 1024,
    }
    return Setup(**{**values, **changes})


def isolated(
    *, stall_seconds: float = 30.0, command: tuple[str, ...] = COMMAND, **changes: Any
) -> IsolatedReader:
    return IsolatedReader(_setup(**changes), stall_seconds=stall_seconds, _command=command)


@pytest.fixture
def reader() -> Iterator[IsolatedReader]:
    reader = isolated()
    yield reader
    reader.close()
    assert children() == []


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds at ten frames a second, each of which shows its number."""
    path = tmp_path_factory.mktemp("clips") / "five.mp4"
    return write_clip(path, [i / 10 for i in range(50)], rate=10)


@pytest.fixture
def clip(five: Path, tmp_path: Path) -> Clip:
    """The clip under another name."""

    def named(name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(five.read_bytes())
        return path

    return named


_others: set[int] = set()
"""Children that the session has had before the test: the nodes of other tests."""


@pytest.fixture(autouse=True)
def _count_others() -> None:
    _others.clear()
    _others.update(child.pid for child in psutil.Process().children(recursive=True))


def children() -> list[int]:
    found = [child.pid for child in psutil.Process().children(recursive=True)]
    return [pid for pid in found if pid not in _others]


def numbers(reader: IsolatedReader, path: Path, **options: Any) -> list[int]:
    return [
        read_counter(frame)
        for batch in reader.frames(path, **options)
        for _, frame in batch.frames()
    ]


def test_a_name_that_is_not_utf8_reaches_the_process(reader: IsolatedReader, clip: Clip) -> None:
    path = clip("caf\udce9.mp4")
    assert numbers(reader, path) == [0, 10, 20, 30, 40]
    path.write_bytes(b"no video")
    with pytest.raises(VideoOpenError, match="caf"):
        reader.probe(path)


def test_one_process_reads_video_after_video(reader: IsolatedReader, clip: Clip) -> None:
    assert children() == []
    info = reader.probe(clip("a.mp4"))
    assert (info.width, info.height, info.fps) == (128, 96, 10)
    (first,) = children()
    for name in ("a.mp4", "b.mp4"):
        assert numbers(reader, clip(name)) == [0, 10, 20, 30, 40]
    assert reader.cues(clip("a.mp4")) == ()
    assert children() == [first]
    reader.close()
    assert children() == []
    assert numbers(reader, clip("a.mp4")) == [0, 10, 20, 30, 40]


def test_shots_are_read_in_the_child(reader: IsolatedReader, tmp_path: Path) -> None:
    pytest.importorskip("scenedetect")
    colours = np.random.default_rng(0).integers(0, 255, (2, 1, 1, 3), dtype=np.uint8)

    def picture(number: int) -> Any:
        return np.broadcast_to(colours[int(number >= 30)], (96, 128, 3)).copy()

    path = write_clip(tmp_path / "cut.mp4", [i / 10 for i in range(60)], picture=picture, rate=10)
    assert reader.shots(path) == pytest.approx((3.0,), abs=0.01)


def test_errors_of_a_file_are_raised_and_keep_the_process(
    reader: IsolatedReader, clip: Clip, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 100)
    reader.probe(clip("a.mp4"))
    before = children()
    with pytest.raises(SourceNotFoundError, match=r"nothing\.mp4"):
        reader.probe(tmp_path / "nothing.mp4")
    for read in (reader.probe, reader.cues, reader.shots, lambda path: list(reader.frames(path))):
        with pytest.raises(VideoOpenError, match=r"broken\.mp4"):
            read(broken)
    assert children() == before


def test_odd_file_names_reach_the_child_process(
    reader: IsolatedReader, clip: Clip, tmp_path: Path
) -> None:
    path = clip("a.mp4").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n\xc3\xbc.mp4"))
    assert numbers(reader, path) == [0, 10, 20, 30, 40]
    with pytest.raises(SourceNotFoundError):
        reader.probe(path.with_suffix(".mkv"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("segfault@2.mp4", r"segfault@2\.mp4: the decoder \(pyav\) crashed \(SIGSEGV\) at 1\.0 s"),
        ("segfault@0.mp4", r"crashed \(SIGSEGV\) before the first frame"),
        ("abort@1.mp4", r"crashed \(SIGABRT\) at 0\.0 s"),
        ("exit@1.mp4", r"ended by itself \(exit code 3\) at 0\.0 s"),
        ("greedy@1.mp4", r"ran out of memory at 0\.0 s: ingest\.decode_megabytes allows 1024 MB"),
        ("bad_alloc@1.mp4", r"ran out of memory at 0\.0 s: ingest\.decode_megabytes allows 1024"),
        ("bug@1.mp4", r"failed unexpectedly \(TypeError: a mistake of ours\) at 0\.0 s"),
        ("other-error@1.mp4", r"failed unexpectedly \(VidsearchError: none of those"),
        ("rubbish@1.mp4", r"gave an invalid answer \(a message of 4294967295 bytes\) at 0\.0 s"),
        ("pickle@1.mp4", r"gave an invalid answer \(a message that is no JSON\) at 0\.0 s"),
        ("enormous@1.mp4", r"gave an invalid answer \(a frame of 3000x3000 pixels\) at 0\.0 s"),
        ("nan@1.mp4", r"gave an invalid answer \(a frame with senseless numbers\) at 0\.0 s"),
        ("probe-segfault.mp4", r"crashed \(SIGSEGV\) while reading the header"),
    ],
)
def test_a_crash_fails_only_its_video(clip: Clip, name: str, message: str) -> None:
    reader = isolated(max_pixels=1 << 20)
    path = clip(name)
    with pytest.raises(DecoderFailedError, match=message):
        reader.probe(path) if name.startswith("probe") else numbers(reader, path)
    assert children() == []
    assert numbers(reader, clip("next.mp4")) == [0, 10, 20, 30, 40]
    reader.close()


def test_batches_before_a_crash_are_given(reader: IsolatedReader, clip: Clip) -> None:
    batches = reader.frames(clip("segfault@3.mp4"), batch_size=2)
    assert next(batches).pts_seconds.tolist() == [0.0, 1.0]
    with pytest.raises(DecoderFailedError):
        next(batches)


def test_traceback_and_last_output_of_the_child_are_logged(
    reader: IsolatedReader, clip: Clip, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DecoderFailedError):
        numbers(reader, clip("bug@0.mp4"))
    assert 'raise TypeError("a mistake of ours")' in caplog.text
    caplog.clear()
    with pytest.raises(DecoderFailedError):
        numbers(reader, clip("segfault@0.mp4"))
    assert "Fatal Python error: Segmentation fault" in caplog.text
    assert "in _misbehave" in caplog.text


@pytest.mark.parametrize("what", ["sleep", "hang"])
def test_a_decoder_that_hangs_is_killed(clip: Clip, what: str) -> None:
    reader = isolated(stall_seconds=1.0)
    started = time.monotonic()
    message = rf"{what}@2\.mp4: the decoder \(pyav\) was stuck at 1\.0 s: no progress for 1 s"
    with pytest.raises(DecoderFailedError, match=message):
        numbers(reader, clip(f"{what}@2.mp4"))
    assert time.monotonic() - started < 60
    assert children() == []
    assert numbers(reader, clip("next.mp4")) == [0, 10, 20, 30, 40]
    reader.close()


@pytest.mark.skipif(not LINUX, reason="reading is seen on Linux only")
def test_reading_the_file_counts_as_progress_up_to_a_limit(clip: Clip) -> None:
    reader = isolated(stall_seconds=2.0)
    slow = clip("reading@1.mp4")
    with slow.open("ab") as file:
        file.write(bytes(1 << 20))
    assert numbers(reader, slow) == [0, 10, 20, 30, 40]
    # Two gigabytes a second from the cache, so the hundred-fold of the file plus one are soon over.
    with pytest.raises(DecoderFailedError, match="stuck"):
        numbers(reader, clip("circle@1.mp4"))
    reader.close()


def test_a_slow_consumer_does_not_count_as_a_stall(clip: Clip) -> None:
    reader = isolated(stall_seconds=2.0)
    reader.probe(clip("a.mp4"))
    batches = reader.frames(clip("a.mp4"), batch_size=1)
    seen = next(batches).pts_seconds.tolist()
    time.sleep(3)
    for batch in batches:
        seen += batch.pts_seconds.tolist()
    assert seen == [0, 1, 2, 3, 4]
    reader.close()


def test_output_of_libraries_does_not_disturb_the_protocol(
    reader: IsolatedReader, clip: Clip
) -> None:
    # 1.1 MB: more than any pipe holds, so that it would block if nobody read it.
    assert numbers(reader, clip("chatty@2.mp4")) == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("name", ["killed@2.mp4", "interrupted@2.mp4"])
def test_a_kill_from_outside_is_reported_as_such(
    reader: IsolatedReader, clip: Clip, name: str
) -> None:
    with pytest.raises(
        DecoderKilledError, match=r"killed from outside \(SIG(KILL|INT)\) at 1\.0 s"
    ):
        numbers(reader, clip(name))
    assert numbers(reader, clip("next.mp4")) == [0, 10, 20, 30, 40]


def test_a_child_killed_while_idle_is_replaced(reader: IsolatedReader, clip: Clip) -> None:
    reader.probe(clip("a.mp4"))
    (pid,) = children()
    os.kill(pid, signal.SIGKILL)
    until(lambda: is_gone(pid), what="it is gone")
    assert numbers(reader, clip("a.mp4")) == [0, 10, 20, 30, 40]


def test_a_crash_after_another_video_is_tried_again_in_a_new_process(
    reader: IsolatedReader, clip: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash in a process that read other files is tried again in a new one."""
    once = tmp_path / "crash-once"
    once.touch()
    reader.probe(clip("before.mp4"))
    frames = reader.frames(clip("once@3.mp4"), batch_size=2)
    batches = list(frames)
    assert [read_counter(f) for b in batches for f in b.data] == [0, 10, 20, 30, 40]
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert frames.summary.end_seconds == pytest.approx(5.0, abs=1e-3)
    assert not once.exists()
    assert "a new process tries once more" in caplog.text
    # But not for ever.
    with pytest.raises(DecoderFailedError, match="SIGSEGV"):
        numbers(reader, clip("segfault@2.mp4"))


@pytest.mark.skipif(not LINUX, reason="address space is limited on Linux only")
def test_a_bloated_process_is_replaced(reader: IsolatedReader, clip: Clip) -> None:
    assert numbers(reader, clip("leak@1.mp4")) == [0, 10, 20, 30, 40]
    (first,) = children()
    assert numbers(reader, clip("leak@2.mp4")) == [0, 10, 20, 30, 40]
    assert children() == [first]
    assert numbers(reader, clip("next.mp4")) == [0, 10, 20, 30, 40]
    assert children() != [first], "half of what it may have was gone"


def _gif() -> bytes:
    pillow = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    pictures = [pillow.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue")]
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=1000)
    return file.getvalue()


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.skipif(not LINUX, reason="address space is limited on Linux only")
def test_a_memory_bomb_is_refused(tmp_path: Path, decoder: str) -> None:
    """A file of 2 KB whose pictures have 256 megapixels."""
    pytest.importorskip({"pyav": "av", "opencv": "cv2"}[decoder])
    content = bytearray(_gif())
    content[6:10] = (16_000).to_bytes(2, "little") * 2
    bomb = tmp_path / "bomb.gif"
    bomb.write_bytes(content)
    with (
        closing(isolated(decoder=decoder)) as reader,
        pytest.raises(VideoTooLargeError, match=r"bomb\.gif"),
    ):
        numbers(reader, bomb)
    careless = isolated(decoder=decoder, max_pixels=1 << 30, megabytes=512)
    with closing(careless), pytest.raises(VideoError, match=r"bomb\.gif"):
        numbers(careless, bomb)


@pytest.mark.parametrize("leave", ["close", "forget", "throw"])
def test_a_reading_left_early_ends_its_process(
    reader: IsolatedReader, clip: Clip, leave: str
) -> None:
    batches = reader.frames(clip("sleep@2.mp4"), batch_size=1)
    assert read_counter(next(batches).data[0]) == 0
    assert len(children()) == 1
    if leave == "close":
        batches.close()
    elif leave == "throw":
        with pytest.raises(KeyError), batches:
            raise KeyError
    del batches
    gc.collect()
    assert children() == []
    assert numbers(reader, clip("a.mp4")) == [0, 10, 20, 30, 40]


def test_a_request_within_a_reading_gets_a_process_of_its_own(
    reader: IsolatedReader, clip: Clip
) -> None:
    path = clip("a.mp4")
    seen = []
    for batch in reader.frames(path, batch_size=1):
        assert reader.probe(path).width == 128
        seen.append(read_counter(batch.data[0]))
    assert seen == [0, 10, 20, 30, 40]


def test_threads_get_their_own_frames(reader: IsolatedReader, clip: Clip) -> None:
    paths = [clip(f"{n}.mp4") for n in range(3)]
    results: list[list[int]] = []

    def work(path: Path) -> None:
        for _ in range(5):
            results.append(numbers(reader, path, rate=5.0))

    threads = [threading.Thread(target=work, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [list(range(0, 50, 2))] * 15


def test_a_process_survives_the_thread_that_started_it(reader: IsolatedReader, clip: Clip) -> None:
    """Which PR_SET_PDEATHSIG would not survive."""
    thread = threading.Thread(target=reader.probe, args=(clip("a.mp4"),))
    thread.start()
    thread.join()
    (first,) = children()
    time.sleep(0.2)
    assert numbers(reader, clip("a.mp4")) == [0, 10, 20, 30, 40]
    assert children() == [first]


def test_input_during_a_request_does_not_end_the_child(clip: Clip) -> None:
    """The kernel may still have a signal to send for a request that the child has read."""
    process = DecodingProcess(_setup(), stall_seconds=30, command=COMMAND)
    request = {"do": "frames", "rate": 1.0, "sampling": "played-at", "start": 0, "stop": None}
    seconds = []
    for message in process.ask(request, clip("reading@2.mp4"), steady=True):
        if "summary" in message:
            continue
        header = FrameHeader.of(message, max_pixels=1 << 20)
        process.read_into(memoryview(bytearray(math.prod(header.shape))))
        seconds.append(header.pts)
        if len(seconds) == 2:  # the third takes long
            process._send({**request, "path": "/next.mp4", "level": logging.WARNING})
    process.end()
    assert seconds == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_gets_a_process_of_its_own(reader: IsolatedReader, clip: Clip) -> None:
    path = clip("a.mp4")
    batches = reader.frames(path, batch_size=1)
    next(batches)
    reader.probe(path)
    ours = set(children())
    assert len(ours) == 2
    receive, send = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            right = numbers(reader, path) == [0, 10, 20, 30, 40]
            theirs = {child.pid for child in psutil.Process().children()}
            del batches
            reader.close()
            os.write(send, b"1" if right and theirs.isdisjoint(ours) else b"0")
        finally:
            os._exit(0)
    assert os.read(receive, 1) == b"1"
    os.waitpid(pid, 0)
    os.close(receive)
    os.close(send)
    assert set(children()) == ours, "the fork ended what was not its own"
    assert [read_counter(batch.data[0]) for batch in batches] == [10, 20, 30, 40]


_WORKER = """
    import sys, time
    from pathlib import Path
    from tests.misbehaving_child import COMMAND
    from tests.unit.test_media_isolation import children, isolated
    reader = isolated()
    batches = reader.frames(Path(sys.argv[1]), batch_size=1)
    next(batches)
    print(*children(), flush=True)
    {then}
"""


@pytest.mark.skipif(not LINUX, reason="elsewhere only a codec that yields the lock is noticed")
@pytest.mark.parametrize("name", ["sleep@2.mp4", "hang@2.mp4", "idle.mp4"])
@pytest.mark.parametrize(
    "then",
    [
        pytest.param("time.sleep(600)", id="killed"),
        pytest.param("pass", id="ended"),
        pytest.param("import os; os._exit(1)", id="exited"),
    ],
)
def test_no_child_outlives_its_worker(clip: Clip, name: str, then: str) -> None:
    code = textwrap.dedent(_WORKER.format(then=then))
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(clip(name))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    try:
        assert worker.stdout
        (pid,) = map(int, worker.stdout.readline().split())
        if "600" in then:
            worker.kill()
        _, errors = worker.communicate(timeout=120)
        assert errors == ""
        until(lambda: is_gone(pid), what="it is gone")
    finally:
        worker.kill()
        worker.communicate()


def test_the_childs_environment_holds_no_secrets(
    reader: IsolatedReader, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "hush-hush"
    for name in ("VIDSEARCH_ENGINE__PASSWORD", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "ANYTHING"):
        monkeypatch.setenv(name, secret)
    reader.probe(clip("a.mp4"))
    (pid,) = children()
    environment = psutil.Process(pid).environ()
    assert secret not in str(environment)
    assert environment["OMP_NUM_THREADS"] == "1"
    assert psutil.Process(pid).num_threads() == 1


@pytest.mark.skipif(not LINUX, reason="Linux only")
def test_the_child_reaches_no_network(reader: IsolatedReader, clip: Clip) -> None:
    flags = ["--net"] if os.geteuid() == 0 else ["--user", "--net"]
    if subprocess.run(["unshare", *flags, "true"], check=False, capture_output=True).returncode:
        pytest.skip("namespaces are not permitted here")
    path = clip("connect@0.mp4")
    with socket.create_server(("127.0.0.1", 0)) as server:
        path.with_suffix(".port").write_text(str(server.getsockname()[1]))
        with pytest.raises(DecoderFailedError, match="OSError"):
            numbers(reader, path)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("/no/such/python",), "cannot be started with '/no/such/python': No such file"),
        ((sys.executable, "-c", "import no_such_module"), "No module named 'no_such_module'"),
        ((sys.executable, "-c", "pass"), r"ended by itself \(exit code 0\)"),
        ((sys.executable, "-c", "print('hello, world')"), "a message of .* bytes"),
        ((sys.executable, "-c", "import os; os.abort()"), r"crashed \(SIGABRT\)"),
    ],
)
def test_a_child_that_cannot_start_is_a_config_error(
    clip: Clip, command: tuple[str, ...], message: str
) -> None:
    reader = isolated(command=command)
    with pytest.raises(ConfigError, match=message) as caught:
        reader.probe(clip("a.mp4"))
    assert "ingest.isolate = false" in str(caught.value)
    assert children() == []


def test_a_child_killed_while_it_starts_is_reported_as_killed(clip: Clip) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(DecoderKilledError, match="SIGKILL"):
        isolated(command=(sys.executable, "-c", code)).probe(clip("a.mp4"))


def test_a_missing_extra_is_named_in_the_error(clip: Clip, tmp_path: Path) -> None:
    script = tmp_path / "without.py"
    script.write_text(
        "import sys\n"
        "sys.modules['av'] = sys.modules['cv2'] = None\n"
        "from vidsearch.media.isolation.child import main\n"
        "main()\n"
    )
    for decoder in ("pyav", "opencv"):
        reader = isolated(decoder=decoder, command=(sys.executable, str(script)))
        with pytest.raises(MissingExtraError, match=r"pip install 'vidsearch\[worker\]'"):
            reader.probe(clip("a.mp4"))
        reader.close()


def test_child_imports_no_heavy_package(clip: Clip, tmp_path: Path) -> None:
    script = tmp_path / "listing.py"
    script.write_text(
        "import sys\n"
        "import vidsearch.media.isolation.child as child\n"
        "serve = child._serve\n"
        "def listed(*arguments):\n"
        "    last = serve(*arguments)\n"
        "    names = ' '.join({name.partition('.')[0] for name in sys.modules})\n"
        "    return {'error': 'VideoError', 'text': names}\n"
        "child._serve = listed\n"
        "child.main()\n"
    )
    listing = isolated(command=(sys.executable, str(script)))
    with closing(listing), pytest.raises(VideoError) as caught:
        listing.probe(clip("a.mp4"))
    loaded = set(str(caught.value).split())
    assert "av" in loaded
    heavy = {"torch", "transformers", "fsspec", "celery", "cv2", "PIL", "pydantic", "asyncio"}
    assert loaded & heavy == set()


def test_the_settings_choose_the_reader(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    limits = MediaLimits(max_seconds=10, max_pixels=1000)
    reader = open_reader(IngestSettings(decode_megabytes=1024), limits=limits)
    assert isinstance(reader, IsolatedReader)
    assert "megabytes=1024" in repr(reader)
    assert reader.name == "pyav"
    direct = open_reader(IngestSettings(isolate=False, decoder="opencv"), limits=limits)
    assert type(direct).__name__ == "DirectReader"
    assert direct.name == "opencv"
    direct.close()
    assert caplog.text == ""
