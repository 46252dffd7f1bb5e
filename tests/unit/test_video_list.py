"""Files that list videos: their formats, their rows, and what is wrong with some of them."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidsearch.errors import MissingExtraError, VideoListError
from vidsearch.registration import Format, VideoList, stable_id

WEB = "https://h/"


def listed(text: str | bytes, format: Format = "csv", **options: Any) -> VideoList:
    content = text.encode() if isinstance(text, str) else text
    return VideoList(io.BytesIO(content), format=format, name="list", **options)


def videos_of(videos: VideoList) -> dict[str, tuple[str, Any]]:
    return {video.id: (video.uri, dict(video.fields or {})) for video in videos.videos()}


def told(videos: VideoList) -> list[str]:
    """A row's error, id of its video, or `repeated`."""
    return [row.error or (row.video.id if row.video else "repeated") for row in videos.rows()]


def test_decimal_commas_are_of_lists_that_semicolons_separate() -> None:
    rows = "uri;price;size;code\nhttps://h/a;4,5;1.5;1.234,5\nhttps://h/b;30;2;7\n"
    one, two = listed(rows).videos()
    assert one.fields == {"price": 4.5, "size": 1.5, "code": "1.234,5"}
    assert two.fields == {"price": 30, "size": 2, "code": "7"}
    (quoted,) = listed('uri,price\nhttps://h/a,"4,5"\n').videos()
    assert quoted.fields == {"price": "4,5"}


def test_number_may_lack_the_zero_before_its_point() -> None:
    rows = "uri,price,version\nhttps://h/a,.5,.5.1\nhttps://h/b,-.25,.\nhttps://h/c,4,1\n"
    assert [video.fields for video in listed(rows).videos()] == [
        {"price": 0.5, "version": ".5.1"},
        {"price": -0.25, "version": "."},
        {"price": 4, "version": "1"},
    ]
    (comma,) = listed("uri;price\nhttps://h/a;,5\n").videos()
    assert comma.fields == {"price": 0.5}


@pytest.mark.parametrize("hint", ["sep=;", '"sep=;"', "\ufeffsep=;", "sep=;\r", "SEP=;"])
def test_separator_that_a_spreadsheet_is_told_is_taken(hint: str) -> None:
    videos = listed(f"{hint}\nuri;title;price\nhttps://h/a;a,b,c,d;4,5\nbad\n")
    assert [video.fields for row in videos.rows() if (video := row.video)] == [
        {"title": "a,b,c,d", "price": 4.5}
    ]
    assert [row.place for row in videos.rows() if row.error] == ["list, line 4"]
    (one,) = listed("sep=\t\nuri\ttitle\nhttps://h/a\tA\n").videos()
    assert one.fields == {"title": "A"}


@pytest.mark.parametrize("separator", [":", "\\t", ""])
def test_separator_that_lists_do_not_have_is_refused_by_name(separator: str) -> None:
    with pytest.raises(VideoListError) as raised:
        listed(f"sep={separator}\nuri:title\nhttps://h/a:A\n")
    assert f"names the separator {separator!r} (sep=)" in str(raised.value)


def test_list_of_uris_alone_names_no_fields_and_an_empty_cell_takes_one_away() -> None:
    (bare,) = listed("uri,id\nhttps://h/a,one\n").videos()
    assert bare.fields is None
    empty, short = listed("uri,title\nhttps://h/a,\nhttps://h/b\n").videos()
    assert (empty.fields, short.fields) == ({}, {})


# -- formats


def test_csv_rows_become_videos(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    path = tmp_path / "list.csv"
    path.write_text(
        '\ufeffuri,id,title,tags\na.mp4,one,"Red, round",x; y\n\nhttps://host/b.mp4,,Blue,\n',
        encoding="utf-8",
    )
    one, two = VideoList(path).videos()
    assert (one.id, one.uri) == ("one", str(tmp_path.resolve() / "a.mp4"))
    assert one.fields == {"title": "Red, round", "tags": ["x", "y"]}
    assert two.id == stable_id("https://host/b.mp4")
    assert two.fields == {"title": "Blue"}


def test_transcript_of_a_long_talk_fits_into_a_cell_of_csv() -> None:
    text = "word " * 100_000
    assert videos_of(listed(f"uri,id,words\nhttps://h/a,a,{text}\n"))["a"][1] == {"words": text}
    cells = f"uri,id,words\nhttps://h/a,a,{'x' * 1_100_000}\nhttps://h/b,b,x\n"
    assert told(listed(cells)) == ["no CSV: field larger than field limit (1048576)", "b"]


def test_blanks_beside_the_commas_of_csv_are_none_of_an_id_or_uri_and_no_value() -> None:
    text = "uri, id, seconds, note\nhttps://h/a, one, 5,  \nhttps://h/b, two,  , late\n , , ,\n"
    assert videos_of(listed(text)) == {
        "one": ("https://h/a", {"seconds": 5}),
        "two": ("https://h/b", {"note": " late"}),
    }
    assert videos_of(listed("id, uri\none, https://h/a\n")) == {"one": ("https://h/a", {})}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title\nRed\n", r"list has no column 'uri' in its first line \(found: title\): --map"),
        ("", "no column 'uri' in its first line"),
        ("uri,uri\n", "list has two columns 'uri'"),
        ('"uri\n', "list is no CSV file"),
        (b"\xff\xfeu\0r\0i\0\n\0", "list is UTF-16: save it as UTF-8"),
        ("", "in its first line \\(it is empty\\)$"),
        ("\n \n", "in its first line \\(it is empty\\)$"),
        ("uri;title;title\n", "list has two columns 'title'"),
        (b"\0" * 50, "list is no CSV file: it holds NUL bytes"),
        ("uri,title\rhttps://h/a.mp4,x\r", "list is no CSV file: a carriage return stands where"),
        (gzip.compress(b"uri\n", mtime=0), "list is compressed with gzip: unpack it first"),
        (b"PK\3\4" + bytes(40), "list is a zip archive: unpack it first"),
    ],
)
def test_invalid_csv_raises_with_its_name(text: str | bytes, message: str) -> None:
    with pytest.raises(VideoListError, match=message):
        listed(text)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("uri,title\n,Red\nhttps://h/ok.mp4,\n", 2, "the uri is empty"),
        ("uri\nnosuch.mp4\nhttps://h/ok.mp4\n", 2, "no such file: nosuch.mp4"),
        ("uri\nhttps://h/ok.mp4\nhttps://h/a.mp4,b\n", 3, "more cells than columns"),
        ('uri,title\nhttps://h/ok.mp4,"a\nb"\nh:,"a"b\n', 4, "no CSV: ',' expected after '\"'"),
        ('uri\nhttps://h/ok.mp4\n"https://h/a.mp4\n\n', 3, "no CSV: unexpected end of data (up to"),
        (b"uri\nhttps://h/caf\xe9.mp4\nhttps://h/ok.mp4\n", 2, "not UTF-8: save the file as"),
        ("uri,title\nhttps://h/ok.mp4,x\nhttps://h/a.mp4,a\0b\n", 3, "a cell holds a NUL byte"),
        ("\n\nuri,title\n\nhttps://h/ok.mp4,x\n,Red\n", 6, "the uri is empty"),
    ],
)
def test_bad_csv_row_is_told_with_its_line_and_the_others_go_on(
    text: str | bytes, line: int, message: str
) -> None:
    good, bad = sorted(listed(text).rows(), key=lambda row: row.error or "")
    assert good.video is not None
    assert good.video.uri == "https://h/ok.mp4"
    assert bad.error is not None
    assert (bad.place, bad.error[: len(message)]) == (f"list, line {line}", message)
    with pytest.raises(VideoListError, match=f"list, line {line}: "):
        list(listed(text).videos())


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_of_any_spreadsheet_is_read(delimiter: str) -> None:
    rows = [["uri", " title "], [f"{WEB}a.mp4", '"one\r\ntwo, and; three"'], [f"{WEB}b.mp4", "x"]]
    text = "\ufeff" + "\r\n".join(delimiter.join(row) for row in rows)
    found = listed(text)
    assert [row.place for row in found.rows()] == ["list, line 2", "list, line 4"]
    titles = [row.video.fields["title"] for row in found.rows() if row.video]
    assert titles == ["one\r\ntwo, and; three", "x"]


def test_unnamed_column_is_left_out() -> None:
    # as pandas writes the numbers of its rows
    assert videos_of(listed(",uri,id\n0,https://h/a.mp4,a\n")) == {"a": (f"{WEB}a.mp4", {})}


def test_json_lines_keep_their_types_and_bad_lines_do_not_stop_the_others() -> None:
    rows: list[Any] = [
        {"uri": f"{WEB}a.mp4", "id": 7, "tags": "x;y", "size": 1.5, "note": None, "in": {"a": 1}},
        {"uri": f"{WEB}b.mp4", "id": "b", "tags": ["z"], "size": float("nan")},
    ]
    lines = [*map(json.dumps, rows), "", '{"uri": ', "[1]", '{"uri": 5}', '{"title": "x"}']
    videos = listed("\ufeff" + "\r\n".join([*lines, '{"uri": "https://h/c", "id": [1]}']), "jsonl")
    found = [(row.place, row.error) for row in videos.rows() if row.error]
    assert [place for place, _ in found] == [f"list, line {n}" for n in (4, 5, 6, 7, 8)]
    assert [str(error).partition(":")[0] for _, error in found] == [
        "no JSON",
        "no JSON object",
        "the uri must be a text, not 5",
        "the uri is empty",
        "the id must be a text or a whole number, not [1]",
    ]
    good = {row.video.id: row.video.fields for row in videos.rows() if row.video}
    assert good == {
        "7": {"tags": ["x", "y"], "size": 1.5, "in": {"a": 1}},
        "b": {"tags": ["z"]},
    }


@pytest.mark.parametrize(
    "text",
    [
        '[{"uri": "https://h/a.mp4", "id": "a"}]',
        '[\n  {"uri": "https://h/a.mp4",\n   "id": "a"}\n]',
    ],
)
def test_json_array_is_a_list(text: str) -> None:
    assert videos_of(listed(text, "jsonl")) == {"a": (f"{WEB}a.mp4", {})}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "list is no JSON: "),
        ('{\n"uri": "https://h/a.mp4"\n}', "list is one JSON object: write one object a line"),
        ('{"title": "x"}\n', "list has no column 'uri' "),
        ("", "list has no column 'uri' "),
        ("", r"list has no column 'uri' \(it is empty\)$"),
        ("uri\nhttps://h/a.mp4\n", r"list has no column 'uri' \(line 1: no JSON: Expecting value"),
        ('{"uri": ' + "[" * 100_000, r"list has no column 'uri' \(line 1: no JSON: maximum recurs"),
        ("[" * 100_000, "list is no JSON: maximum recursion depth"),
    ],
)
def test_invalid_json_raises_with_its_name(text: str, message: str) -> None:
    with pytest.raises(VideoListError, match=message):
        list(listed(text, "jsonl").videos())


def test_format_follows_from_the_name(tmp_path: Path) -> None:
    path = tmp_path / "LIST.NDJSON"
    path.write_text('{"uri": "https://h/a.mp4"}\n')
    assert VideoList(path).format == "jsonl"
    with pytest.raises(VideoListError, match=r"list\.txt: name its format: csv, jsonl, parquet"):
        VideoList(tmp_path / "list.txt")
    with pytest.raises(VideoListError, match=r"gone\.csv cannot be read: No such file"):
        VideoList(tmp_path / "gone.csv")


# -- Parquet


def test_parquet_without_pyarrow_raises_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"reading Parquet files .*'vidsearch\[parquet\]'"):
        listed(b"PAR1", "parquet")


def test_hard_columns_of_parquet_become_plain_fields(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    from pyarrow import parquet

    path = tmp_path / "list.parquet"
    table = {
        "uri": [f"{WEB}a.mp4", f"{WEB}b.mp4"],
        "kind": pyarrow.array(["x", None]).dictionary_encode(),
        "words": [["a", "b"], []],
        "about": [{"a": 1, "b": "x"}, None],
        "pairs": pyarrow.array(
            [[("k", "v")], None], pyarrow.map_(pyarrow.string(), pyarrow.string())
        ),
        "at": pyarrow.array([datetime(2024, 1, 31, 12), None], pyarrow.timestamp("us")),
        "ok": [True, None],
        "nothing": pyarrow.nulls(2),
    }
    parquet.write_table(pyarrow.table(table), path)
    first, second = VideoList(path).videos()
    assert first.fields == {
        "kind": "x",
        "words": ["a", "b"],
        "about": {"a": 1, "b": "x"},
        "pairs": {"k": "v"},
        "at": "2024-01-31T12:00:00",
        "ok": True,
    }
    assert {name for name, value in (second.fields or {}).items() if value} == set()
    columns = [pyarrow.array([f"{WEB}a.mp4"]), pyarrow.array(["x"]), pyarrow.array(["y"])]
    parquet.write_table(pyarrow.Table.from_arrays(columns, ["uri", "t", "t"]), path)
    with pytest.raises(VideoListError, match="has two columns 't'"):
        VideoList(path)


def test_msrvtt_in_parquet_has_all_captions_of_a_video(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    from pyarrow import parquet

    path = tmp_path / "list.parquet"
    rows = {"video_id": ["video1", "video1", "video2"], "caption": ["one", "two", "three"]}
    parquet.write_table(pyarrow.table({**rows, "sen_id": [1, 2, 3], "split": ["test"] * 3}), path)
    found = videos_of(VideoList(path, base="https://h"))
    assert found == {
        "video1": (f"{WEB}video1.mp4", {"description": ["one", "two"], "split": "test"}),
        "video2": (f"{WEB}video2.mp4", {"description": "three", "split": "test"}),
    }


def test_parquet_rows_become_videos(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    from pyarrow import parquet

    path = tmp_path / "list.parquet"
    columns = {
        "url": [f"{WEB}a.mp4", f"{WEB}b.mp4", None, f"{WEB}c.mp4"],
        "id": pyarrow.array([1.0, 2.0, None, 3.0]),  # as pandas has numbers where one is missing
        "day": [date(2024, 1, 31), None, None, date(2024, 2, 1)],
        "at": [datetime(2024, 1, 31, 12, tzinfo=timezone.utc), None, None, None],
        "price": pyarrow.array([Decimal("1.50"), None, None, Decimal(2)], pyarrow.decimal128(5, 2)),
        "raw": [b"text", None, None, b"\xff"],
        "size": [float("nan"), 2.5, None, 1.0],
        "tags": [["x", "y"], [], None, None],
        "in": [{"a": 1}, None, None, None],
        "year": ["2024", "2025", None, "2026"],
    }
    parquet.write_table(pyarrow.table(columns), path, row_group_size=2)
    rows = list(VideoList(path, columns={"url": "uri"}).rows())
    assert [(row.place.partition(", ")[2], row.error) for row in rows if row.error] == [
        ("row 4", "column 'raw' holds bytes that are not UTF-8: leave it out (--map raw=)"),
    ]
    one, two = (row.video for row in rows if row.video)
    assert one is not None
    assert two is not None
    assert (one.id, one.uri) == ("1", f"{WEB}a.mp4")
    assert one.fields == {
        "day": "2024-01-31",
        "at": "2024-01-31T12:00:00+00:00",
        "price": 1.5,
        "raw": "text",
        "tags": ["x", "y"],
        "in": {"a": 1},
        "year": 2024,
    }
    assert (two.id, two.fields) == ("2", {"size": 2.5, "tags": [], "year": 2025})


def parquet_list(cells: dict[str, Any], **options: Any) -> VideoList:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    from pyarrow import parquet

    file = io.BytesIO()
    uris = [f"{WEB}{n}" for n in range(len(next(iter(cells.values()))))]
    parquet.write_table(pyarrow.table({"uri": uris, **cells}), file)
    return VideoList(file, format="parquet", name="list", **options)


def test_cell_of_parquet_that_cannot_be_converted_spoils_its_row_alone() -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    days = pyarrow.array([0, 10**8, 1], pyarrow.int32()).cast(pyarrow.date32())
    seconds = pyarrow.array([1000, 1, None], pyarrow.time64("ns"))
    rows = list(parquet_list({"day": days, "second": seconds}).rows())
    assert rows[1].error == "column 'day' cannot be read: date value out of range"
    assert [row.video.fields for row in (rows[0], rows[2]) if row.video] == [
        {"day": "1970-01-01", "second": "00:00:00.000001"},
        {"day": "1970-01-02"},
    ]
    (_, bad, _) = parquet_list({"second": seconds}).rows()
    assert "column 'second' cannot be read: " in (bad.error or "")


def test_times_of_parquet_keep_their_nanoseconds() -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    at = pyarrow.array([1_700_000_000_123_456_789, -1, 2000], pyarrow.int64())
    plain = at.cast(pyarrow.timestamp("ns"))
    zoned = at.cast(pyarrow.timestamp("ns", tz="Asia/Kolkata"))
    videos = parquet_list({"plain": plain, "zoned": zoned})
    assert [video.fields for video in videos.videos()] == [
        {
            "plain": "2023-11-14T22:13:20.123456789",
            "zoned": "2023-11-15T03:43:20.123456789+05:30",
        },
        {
            "plain": "1969-12-31T23:59:59.999999999",
            "zoned": "1970-01-01T05:29:59.999999999+05:30",
        },
        {"plain": "1970-01-01T00:00:00.000002", "zoned": "1970-01-01T05:30:00.000002+05:30"},
    ]
    assert videos.types().told() == "plain, zoned as dates"


def test_short_numbers_of_parquet_have_the_digits_that_they_were_written_with() -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    short = pyarrow.float32()
    cells = {
        "rating": pyarrow.array([4.2, None, float("nan"), 2.0**40], short),
        "half": pyarrow.array(np.array([4.2, 0.1, 1, 2], "f2")),
        "scores": pyarrow.array([[4.2, None], None, [], [1e-10]], pyarrow.list_(short)),
        "pair": pyarrow.array([[0.1, 0.2]] * 4, pyarrow.list_(short, 2)),
        "about": pyarrow.array([{"a": 4.2}] + [None] * 3, pyarrow.struct({"a": short})),
        "named": pyarrow.array([[("x", 4.2)]] + [None] * 3, pyarrow.map_(pyarrow.string(), short)),
        "long": [4.2, 4.199999809265137, 1.0, 2.0],
    }
    first, second, third, last = (dict(one.fields or {}) for one in parquet_list(cells).videos())
    assert first == {
        "rating": 4.2,
        "half": 4.2,
        "scores": [4.2, None],
        "pair": [0.1, 0.2],
        "about": {"a": 4.2},
        "named": {"x": 4.2},
        "long": 4.2,
    }
    pair = {"pair": [0.1, 0.2]}
    assert second == {"half": 0.1, "long": 4.199999809265137, **pair}
    assert third == {"half": 1.0, "scores": [], "long": 1.0, **pair}
    assert last == {"rating": 2.0**40, "half": 2.0, "scores": [1e-10], "long": 2.0, **pair}


def test_decimals_inside_lists_and_objects_of_parquet_are_numbers_as_those_of_a_column() -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    decimal = pyarrow.decimal128(30, 2)
    price, long = Decimal("4.50"), Decimal(2**60)
    cells = {
        "price": pyarrow.array([price], decimal),
        "prices": pyarrow.array([[price, long, None]], pyarrow.list_(decimal)),
        "meta": pyarrow.array([{"price": price, "code": price}]),
        "deep": pyarrow.array([{"rows": [{"price": price}]}]),
    }
    videos = parquet_list(cells)
    (numbers,) = videos.videos()
    assert numbers.fields == {
        "price": 4.5,
        "prices": [4.5, f"{2**60}.00", None],
        "meta": {"price": 4.5, "code": 4.5},
        "deep": {"rows": [{"price": 4.5}]},
    }
    texts = {
        "price": "4.50",
        "prices": ["4.50", f"{2**60}.00", None],
        "meta": {"price": "4.50", "code": "4.50"},
        "deep": {"rows": [{"price": "4.50"}]},
    }
    (row,) = videos.rows(videos.types(as_text=True))
    assert row.video is not None
    assert row.video.fields == texts
    (row,) = videos.rows(videos.types(kind_of={"meta.code": "text"}.get))  # type: ignore[arg-type]
    assert row.video is not None
    assert row.video.fields == {**(numbers.fields or {}), "meta": {"price": 4.5, "code": "4.50"}}


def test_column_of_parquet_that_is_left_out_is_not_read() -> None:
    columns = {"thumb": [b"\xff", b"\xfe"], "title": ["A", "B"]}
    videos = parquet_list(columns, columns={"thumb": ""})
    assert [video.fields for video in videos.videos()] == [{"title": "A"}, {"title": "B"}]
    bare = parquet_list(columns, columns={"thumb": "", "title": ""})
    assert [video.fields for video in bare.videos()] == [None, None]


def test_bytes_inside_an_object_of_parquet_are_read_as_those_of_a_column() -> None:
    pictures = [{"bytes": b"\xff", "path": "x"}, {"bytes": b"ok", "path": "y"}]
    bad, good = parquet_list({"picture": pictures, "list": [[b"a"], [b"b"]]}).rows()
    assert bad.error == (
        "column 'picture' holds bytes that are not UTF-8: leave it out (--map picture=)"
    )
    assert good.video is not None
    assert good.video.fields == {"picture": {"bytes": "ok", "path": "y"}, "list": ["b"]}


def test_file_that_is_no_parquet_raises() -> None:
    pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    with pytest.raises(VideoListError, match="list is no Parquet file"):
        listed(b"uri\nhttps://h/a.mp4\n", "parquet")


# -- columns


def test_columns_are_read_as_other_fields_and_left_out() -> None:
    videos = listed(
        "link,number,caption,note\nhttps://h/a.mp4,7,Red,x\n",
        columns={"link": "uri", "number": "id", "caption": "title", "note": ""},
    )
    assert videos_of(videos) == {"7": (f"{WEB}a.mp4", {"title": "Red"})}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"lnk": "uri"}, r"list has no column 'lnk' \(found: link, uri\)"),
        ({"link": "uri"}, "list: the columns 'link' and 'uri' both become 'uri'"),
        ({"uri": "x"}, "list has no column 'uri'"),
    ],
)
@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_columns_that_do_not_fit_raise(
    columns: dict[str, str], message: str, format: Format
) -> None:
    text = "link,uri\nhttps://h/a.mp4,https://h/b.mp4\n"
    if format == "jsonl":
        text = '{"link": "https://h/a.mp4", "uri": "https://h/b.mp4"}\n'
    with pytest.raises(VideoListError, match=message):
        list(listed(text, format, columns=columns).videos())


@pytest.mark.parametrize(
    ("base", "uri"),
    [
        ("s3://bucket/clips/", "s3://bucket/clips/a b.mp4"),
        ("https://h/clips", "https://h/clips/a b.mp4"),
    ],
)
def test_relative_uris_are_below_the_base(base: str, uri: str) -> None:
    rows = "uri,id\n./a b.mp4,a\nhttps://other/c.mp4,c\n"
    assert videos_of(listed(rows, base=base)) == {"a": (uri, {}), "c": ("https://other/c.mp4", {})}


# -- known datasets


def test_webvid_is_recognised() -> None:
    videos = listed(
        "videoid,contentUrl,duration,page_dir,name\n"
        "21179416,https://ak/21179416/preview.mp4,PT00H00M11S,006001_006050,Aerial shot\n"
    )
    assert videos.dataset is not None
    assert videos.dataset.name == "WebVid"
    assert videos.dataset.told == "videoid is id, contentUrl is uri, name is title"
    assert videos_of(videos) == {
        "21179416": (
            "https://ak/21179416/preview.mp4",
            {"title": "Aerial shot", "duration": "PT00H00M11S", "page_dir": "006001_006050"},
        )
    }


def test_what_is_asked_for_comes_before_a_dataset() -> None:
    text = "videoid,contentUrl,name,page_dir\n1,https://h/a.mp4,Red,dir\n"
    asked = {"page_dir": "title", "videoid": ""}
    assert videos_of(listed(text, columns=asked)) == {
        stable_id(f"{WEB}a.mp4"): (f"{WEB}a.mp4", {"title": "dir", "name": "Red"})
    }


MSRVTT = {
    "info": {"contributor": "Microsoft"},
    "videos": [
        {
            "category": 9,
            "url": "https://www.youtube.com/watch?v=9lZi22qLlEo",
            "video_id": "video0",
            "start time": 137.72,
            "end time": 149.44,
            "split": "train",
            "id": 0,
        },
        {"category": 16, "url": "https://y/w", "video_id": "video1", "split": "train", "id": 1},
    ],
    "sentences": [
        {"caption": "a car is shown", "video_id": "video0", "sen_id": 1},
        {"caption": "in a city", "video_id": "video0", "sen_id": 2},
        {"caption": "a car is shown", "video_id": "video0", "sen_id": 3},
    ],
}


@pytest.mark.parametrize("indent", [None, 1])
def test_json_of_msrvtt_is_recognised(indent: int | None) -> None:
    videos = listed(json.dumps(MSRVTT, indent=indent), "jsonl", base="s3://b/TrainValVideo")
    assert videos.dataset is not None
    assert videos.dataset.name == "MSR-VTT"
    assert videos_of(videos) == {
        "video0": (
            "s3://b/TrainValVideo/video0.mp4",
            {
                "category": 9,
                "url": "https://www.youtube.com/watch?v=9lZi22qLlEo",
                "start_time": 137.72,
                "end_time": 149.44,
                "split": "train",
                "description": ["a car is shown", "in a city"],
            },
        ),
        "video1": (
            "s3://b/TrainValVideo/video1.mp4",
            {"category": 16, "url": "https://y/w", "split": "train"},
        ),
    }


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("video_id\nvideo7010\n", {}),
        (
            "key,vid_key,video_id,sentence\nret0,msr7010,video7010,a person is connecting\n",
            {"description": "a person is connecting"},
        ),
        (
            "video_id,sentence\nvideo7010,one\nvideo7010,two\nvideo7010,one\n",
            {"description": ["one", "two"]},
        ),
    ],
)
def test_csv_of_msrvtt_is_recognised(text: str, fields: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "MSRVTT.csv"
    path.write_text(text)
    (tmp_path / "video7010.mp4").touch()
    uri = str(tmp_path.resolve() / "video7010.mp4")
    assert videos_of(VideoList(path)) == {"video7010": (uri, fields)}


@pytest.mark.parametrize(
    "rest",
    [{}, {"sentences": []}, {"sentences": ["hi"]}, {"sentences": 5}, {"sentences": [{"x": 1}]}],
)
def test_object_with_videos_is_read_as_their_array(rest: dict[str, Any]) -> None:
    rows = [
        {"id": "bare", "uri": f"{WEB}a.mp4"},
        {"id": "own", "uri": f"{WEB}b.mp4", "sentence": "mine"},
    ]
    for document in ({"videos": rows, **rest}, rows):
        bare, own = listed(json.dumps(document), "jsonl").videos()
        assert (bare.fields, own.fields) == (None, {"sentence": "mine"})


def test_sentences_of_other_lists_go_to_the_videos_that_they_name() -> None:
    rows = [
        {"uri": f"{WEB}a.mp4", "id": "a", "video_id": "a"},
        {"uri": f"{WEB}b.mp4", "id": "b", "video_id": "b", "sentence": "mine"},
        {"uri": f"{WEB}c.mp4", "id": "c", "video_id": ["c"]},
    ]
    sentences = [{"video_id": id, "caption": "theirs"} for id in ("a", "b", ["c"])]
    videos = listed(json.dumps({"videos": rows, "sentences": sentences}), "jsonl")
    assert [video.fields for video in videos.videos()] == [
        {"video_id": "a", "sentence": ["theirs"]},
        {"video_id": "b", "sentence": "mine"},
        {"video_id": ["c"]},
    ]


def test_msrvtt_videos_without_captions_keep_their_fields_and_odd_ones_end_nothing() -> None:
    (bare,) = listed("video_id\nvideo7010\n", base="s3://b").videos()
    assert bare.fields is None
    rows = [{"video_id": f"video{n}", "sentence": said} for n, said in enumerate([5, [["x"], "y"]])]
    odd = listed("\n".join(map(json.dumps, rows)), "jsonl", base="s3://b")
    assert videos_of(odd) == {
        "video0": ("s3://b/video0.mp4", {"description": "5"}),
        "video1": ("s3://b/video1.mp4", {"description": "y"}),
    }


@pytest.mark.parametrize(
    "text", ["video_id\nintro\n", "video_id,speaker\nvideo1,Ada\n", "video_id,uri\nvideo1,a.mp4\n"]
)
def test_other_list_with_a_column_video_id_is_not_taken_for_msrvtt(text: str) -> None:
    try:
        assert listed(text).dataset is None
    except VideoListError as error:
        assert "no column 'uri'" in str(error)  # noqa: PT017


# -- repeated rows


def test_repeated_rows_are_told_apart_from_contradicting_ones() -> None:
    text = "id,uri,n\na,https://h/a,1\nb,https://h/b,2\na,https://h/a,1\na,https://h/a,3\n"
    assert told(listed(text)) == [
        "a",
        "b",
        "repeated",
        "the id 'a' stands in line 2 with other values",
    ]
    assert told(listed("uri\nhttps://h/a\nhttps://h/a\n"))[1:] == ["repeated"]


def test_row_that_takes_fields_away_contradicts_one_that_keeps_them() -> None:
    bare, empty = '{"uri": "https://h/a"}\n', '{"uri": "https://h/a", "title": null}\n'
    for rows in (bare + empty, empty + bare):
        assert "other values" in told(listed(rows, "jsonl"))[1]


def test_of_rows_that_are_signed_anew_the_last_one_counts() -> None:
    first, second = (
        f"https://h/a.mp4?Expires={at}&Signature={at}&AWSAccessKeyId=k" for at in (1, 2)
    )
    videos = [*listed("\n".join(["uri", first, first, second, first, first])).videos()]
    assert [video.uri for video in videos] == [first, second, first]
    assert len({video.id for video in videos}) == 1


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.csv"
        with path.open("w") as file:
            file.write("id,uri,title,n\n")
            file.writelines(f"v{n},https://h/{n},A clip of number {n},{n}\n" for n in range(rows))
        tracemalloc.start()
        videos = VideoList(path)
        assert sum(1 for row in videos.rows() if row.video) == len(videos) == rows
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(10_000) < peak(1_000) + 200_000


def test_a_deeply_nested_cell_leaves_the_rows_beside_it() -> None:
    nested = "[" * 600 + "]" * 600
    rows = f'{{"uri": "https://h/a.mp4", "x": {nested}}}\n{{"uri": "https://h/b.mp4", "x": 1}}'
    found = [row.video.uri for row in listed(rows, "jsonl").rows() if row.video]
    assert found[-1] == "https://h/b.mp4"
