"""Files of captions as the data sets have them."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any, Literal

import pytest

from vidsearch.errors import EvaluationError
from vidsearch.evaluation import LeftOut, VideoFiles, read_keys, read_pairs
from vidsearch.evaluation.pairs import ListedVideo

WEBVID = """videoid,contentUrl,duration,page_dir,name
21179416,https://host.example/v/stock-footage-aerial.mp4,PT11S,006001_006050,Aerial winter forest
5629184,https://host.example/v/5629184.mp4,PT29S,071501_071550,"Senior couple, looking"
"""
MSRVTT_CSV = """key,vid_key,video_id,sentence
ret0,msr9770,video9770,a person is connecting something to system
ret1,msr9771,video9771,a little girl does gymnastics
"""
MSRVTT_JSON = {
    "info": {"version": "1.0"},
    "videos": [
        {"category": 9, "video_id": "video0", "start time": 137.7, "split": "train", "id": 0},
        {"category": 1, "video_id": "video7010", "start time": 1.0, "split": "test", "id": 1},
    ],
    "sentences": [
        {"caption": "a car is shown", "video_id": "video0", "sen_id": 1},
        {"caption": "a man drives", "video_id": "video7010", "sen_id": 2},
        {"caption": "somebody talks", "video_id": "video7010", "sen_id": 3},
    ],
}
MSVD = """# comments come first

mv89psg6zh4_33_46 A bird is bathing in a sink.
mv89psg6zh4_33_46 A faucet is running while a bird stands in the sink.
60x_yxy7Sfw_1_7 A horse is running.
"""
DIDEMO = [
    {
        "num_segments": 6,
        "description": "a girl sits down ",
        "times": [[0, 0], [0, 1]],
        "video": "12090392@N02_13482799053_87ef417396.mov",
        "annotation_id": 1,
    },
    {
        "num_segments": 6,
        "description": "she looks up.",
        "times": [[2, 2]],
        "video": "12090392@N02_13482799053_87ef417396.mov",
        "annotation_id": 2,
    },
]


def written(folder: Path, name: str, data: Any) -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def test_webvid_has_a_caption_and_places_per_video(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, "w.csv", WEBVID), "webvid")
    assert pairs.captions == (
        "Aerial winter forest",
        "Senior couple, looking",
    )
    assert pairs.videos[0] == ListedVideo(
        "21179416", ("006001_006050/21179416", "21179416", "stock-footage-aerial.mp4")
    )


def test_webvid_url_that_cannot_be_read_gives_no_place(tmp_path: Path) -> None:
    rows = "videoid,contentUrl,name\n1,https://[CDN_HOST]/a.mp4,Red\n"
    pairs = read_pairs(written(tmp_path, "w.csv", rows), "webvid")
    assert pairs.videos == (ListedVideo("1", ("1",)),)


def test_msrvtt_split_of_1k_is_read(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, "MSRVTT_JSFUSION_test.csv", MSRVTT_CSV), "msrvtt")
    assert [video.key for video in pairs.videos] == ["video9770", "video9771"]
    assert pairs.captions[1] == "a little girl does gymnastics"


def test_msrvtt_json_has_several_captions_of_a_split(tmp_path: Path) -> None:
    path = written(tmp_path, "MSRVTT_data.json", MSRVTT_JSON)
    assert len(read_pairs(path, "msrvtt").captions) == 3
    pairs = read_pairs(path, "msrvtt", split="test")
    assert [video.key for video in pairs.videos] == ["video7010"]
    assert pairs.video_of == (0, 0)
    with pytest.raises(EvaluationError, match=r"no split 'dev'; it has test, train"):
        read_pairs(path, "msrvtt", split="dev")


def test_msvd_has_several_captions_per_video(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, "msvd.txt", MSVD), "msvd")
    assert pairs.video_of == (0, 0, 1)
    assert pairs.captions[2] == "A horse is running."


def test_caption_that_holds_a_break_of_a_page_is_one_line(tmp_path: Path) -> None:
    text = "v1 A dog\u2028runs.\r\nv2 A cat\x85sits.\n"
    assert read_pairs(written(tmp_path, "msvd.txt", text), "msvd").captions == (
        "A dog runs.",
        "A cat sits.",
    )


def test_didemo_descriptions_make_a_paragraph(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, "test_data.json", DIDEMO), "didemo")
    assert pairs.captions == ("a girl sits down she looks up.",)
    key = "12090392@N02_13482799053_87ef417396"
    assert pairs.videos[0].names == (f"{key}.mov", key)


def test_plain_file_may_repeat_a_video(tmp_path: Path) -> None:
    table = "\ufeffvideo;caption\na.mp4;one;\n".replace("one;", "one") + "b.mp4;two\na.mp4;three\n"
    pairs = read_pairs(written(tmp_path, "p.csv", table), "plain")
    assert pairs.video_of == (0, 1, 0)


def test_empty_caption_is_named_as_left_out(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, "p.csv", "video,caption\na.mp4,one\nb.mp4, \n"), "plain")
    assert pairs.left_out == (LeftOut("b.mp4", "its caption is empty"),)
    assert len(pairs.videos) == 1


@pytest.mark.parametrize(
    ("format", "name", "data", "message"),
    [
        ("plain", "p.csv", "film,caption\na,b\n", "no column 'video'; it has film, caption"),
        ("plain", "p.csv", "video,caption\n,b\n", "line 2: video is empty"),
        ("plain", "p.csv", "video,caption\n", "no pair of a caption and a video"),
        ("webvid", "w.csv", MSRVTT_CSV, "no column 'videoid' and no column 'name'"),
        ("msrvtt", "m.json", [], "lacks videos or sentences"),
        ("msrvtt", "m.json", "{", "is no JSON"),
        ("msvd", "m.txt", "alone\n", "line 1: a video and its caption are expected"),
        ("didemo", "d.json", [{"video": 3}], "entry 1: an object with video and description"),
        ("didemo", "d.json", {}, "a list of objects"),
    ],
)
def test_file_of_another_layout_is_refused(
    tmp_path: Path, format: Any, name: str, data: Any, message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        read_pairs(written(tmp_path, name, data), format)


def test_split_of_a_file_without_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="only the JSON file of MSR-VTT"):
        read_pairs(written(tmp_path, "m.csv", MSRVTT_CSV), "msrvtt", split="test")


def test_selections_keep_the_order_of_the_file(tmp_path: Path) -> None:
    pairs = read_pairs(written(tmp_path, "msvd.txt", MSVD), "msvd")
    keys = read_keys(written(tmp_path, "list.txt", "mv89psg6zh4_33_46\n\n"))
    assert pairs.only(keys).captions == pairs.captions[:2]
    assert pairs.last(2).captions == pairs.captions[1:]
    assert pairs.last(9) == pairs
    with pytest.raises(EvaluationError, match=r"1 of 1 videos that were asked for .*: nobody"):
        pairs.only({"nobody"})


def test_files_are_found_by_path_name_and_stem(tmp_path: Path) -> None:
    for name in ("a/1.mp4", "b/2.avi", "c/x.mov.mp4", "d/twice.mp4", "e/twice.mkv", "1.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files = VideoFiles(tmp_path)

    def found(*names: str) -> Path | str:
        at = files.find(ListedVideo(names[0], names))
        return str(at.relative_to(tmp_path)) if isinstance(at, Path) else at

    assert (
        found("a/1.mp4")
        == found("./a/1.mp4")
        == found("a/1")
        == found("1.mp4")
        == found("1")
        == "a/1.mp4"
    )
    assert found("nowhere/2", "2") == "b/2.avi"
    assert found("x.mov") == "c/x.mov.mp4"
    assert found("e/twice") == "e/twice.mkv"
    assert str(found("twice")).startswith("2 files may be it: ")
    assert found("3") == f"no such file in {tmp_path}"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_file_is_found_whose_name_has_its_accents_apart(
    tmp_path: Path, form: Literal["NFC", "NFD"]
) -> None:
    name = unicodedata.normalize(form, "été/Café.mp4")
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).touch()
    files = VideoFiles(tmp_path)
    for asked in ("été/Café.mp4", "été/Café", "Café.mp4", "Café"):
        for given in (unicodedata.normalize("NFC", asked), unicodedata.normalize("NFD", asked)):
            assert files.find(ListedVideo(given, (given,))) == tmp_path / name


def test_two_files_whose_names_differ_in_composed_letters_alone_are_told_apart(
    tmp_path: Path,
) -> None:
    apart, whole = (unicodedata.normalize(form, "Çafé") for form in ("NFD", "NFC"))
    neither = unicodedata.normalize("NFC", "Ça") + unicodedata.normalize("NFD", "fé")
    for name in (apart, whole):
        (tmp_path / f"{name}.mp4").touch()
    (tmp_path / "below").mkdir()
    (tmp_path / f"below/{neither}.mov").touch()
    files = VideoFiles(tmp_path)
    for name in (apart, whole):
        for asked in (name, f"{name}.mp4"):
            assert files.find(ListedVideo(asked, (asked,))) == tmp_path / f"{name}.mp4"
    assert files.find(ListedVideo("1", (neither,))) == tmp_path / f"below/{neither}.mov"
    found = files.find(ListedVideo("1", (f"{neither}.mp4",)))
    assert str(found).startswith("2 files may be it: ")
