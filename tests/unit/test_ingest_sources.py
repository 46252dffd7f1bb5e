"""What the command ``ingest`` makes of its arguments."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from vidsearch.cli.folder import PassedOver, videos_below
from vidsearch.cli.ingest import ingest
from vidsearch.cli.sources import (
    field_values,
    from_files,
    from_uris,
    parse_columns,
    parse_fields,
)
from vidsearch.registration import VideoList, stable_id
from vidsearch.registration.column_types import unmapped


def test_ids_are_stable_readable_and_unique() -> None:
    assert stable_id("/a/my clip.mp4") == stable_id("/a/my clip.mp4")
    assert stable_id("/a/my clip.mp4").startswith("my-clip-")
    assert stable_id("/a/clip.mp4") != stable_id("/b/clip.mp4")
    assert stable_id("https://host/v/clip%201.mp4?sig=1").startswith("clip-1-")
    assert stable_id("https://host/").isalnum()
    assert len(stable_id("/" + "x" * 1000 + ".mp4").encode()) < 512
    assert stable_id("/a/clip.mp4", id_from="name") == "clip"


def test_id_of_a_path_is_the_same_in_every_release() -> None:
    # They are the documents' ids: another rule would register every video a second time.
    assert stable_id("/videos/dog.mp4") == "dog-a5da03ceaba7"


def test_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").touch()
    monkeypatch.chdir(tmp_path)
    (source,) = from_uris(["a.mp4"], id_from="uri")
    assert source.uri == str(tmp_path.resolve() / "a.mp4")
    (remote,) = from_uris(["https://host/a.mp4"], id_from="uri")
    assert remote.uri == "https://host/a.mp4"
    listed = VideoList(BytesIO(b"uri\nhttps://host/a.mp4\n"), format="csv")
    assert [*listed.videos()] == [remote], "given both ways it is one"


def test_file_whose_name_looks_like_a_scheme_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Part2:intro.mp4").touch()
    monkeypatch.chdir(tmp_path)
    (source,) = from_uris(["Part2:intro.mp4"], id_from="uri")
    assert source.uri == str(tmp_path.resolve() / "Part2:intro.mp4")
    (other,) = from_uris(["Part3:intro.mp4"], id_from="uri")
    assert other.uri == "Part3:intro.mp4"


def test_missing_file_or_folder_raises_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"no such file: nosuch\.mp4"):
        from_uris(["nosuch.mp4"], id_from="uri")
    with pytest.raises(click.UsageError, match=r"no such file: xxx"):
        from_uris(["x" * 5000], id_from="uri")  # longer than any file's name
    with pytest.raises(click.UsageError, match="use --folder"):
        from_uris([str(tmp_path)], id_from="uri")


@pytest.mark.parametrize("host", ["[CDN_HOST]", "[h", "exam℀ple.com", "user:secret@[h"])
def test_uri_whose_host_cannot_be_read_is_refused_alone(host: str) -> None:
    uri = f"https://{host}/a.mp4"
    with pytest.raises(click.UsageError, match="is not a valid URI") as raised:
        from_uris([uri], id_from="uri")
    assert "secret" not in str(raised.value)
    listed = VideoList(BytesIO(f"uri\n{uri}\nhttps://h/b.mp4\n".encode()), format="csv")
    refused, other = listed.rows()
    assert "is not a valid URI" in (refused.error or "")
    assert "secret" not in (refused.error or "")
    assert other.video is not None


def test_file_name_without_utf8_raises(tmp_path: Path) -> None:
    # A document cannot hold it. Python reads such a byte as half a surrogate pair.
    path = tmp_path / "caf\udce9.mp4"
    path.touch()
    with pytest.raises(click.UsageError, match=r"caf.udce9\.mp4' is not UTF-8: rename"):
        from_uris([str(path)], id_from="uri")


def test_videos_of_a_folder_become_sources_under_their_own_names(tmp_path: Path) -> None:
    (tmp_path / "b.MP4").touch()
    (tmp_path / "a.webm").symlink_to("b.MP4")
    sources = from_files(videos_below(tmp_path, PassedOver()), id_from="name")
    assert [(source.id, Path(source.uri).name) for source in sources] == [
        ("a", "a.webm"),
        ("b", "b.MP4"),
    ]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Harbour_at-dawn.mp4", "Harbour at dawn"),
        ("2026.05.01 -  Mr. Bean.mkv", "2026 05 01 - Mr Bean"),
        ("café.webm", "café"),
        ("cafe\u0301.webm", "caf\u00e9"),  # as the file systems of Macs write it
        ("_.mp4", None),
    ],
)
def test_folder_gives_titles_by_file_names(tmp_path: Path, name: str, title: str | None) -> None:
    (tmp_path / name).touch()
    (titled,) = from_files(videos_below(tmp_path, PassedOver()), id_from="uri", titles=True)
    assert (titled.fields, titled.defaults) == (None, {"title": title} if title else None)
    (bare,) = from_files(videos_below(tmp_path, PassedOver()), id_from="uri")
    assert (bare.id, bare.defaults) == (titled.id, None)


def test_field_options_become_typed_values() -> None:
    pairs = ["title=Red = round", "year=2020", "live=true", "tags=a", "tags=b", "code=007", "e="]
    assert field_values(parse_fields(pairs), kind_of=unmapped) == {
        "title": "Red = round",
        "year": 2020,
        "live": True,
        "tags": ["a", "b"],
        "code": "007",
        "e": "",
    }
    names = ["title=Infinity", "series=NaN", "sku=12e450"]  # which Python takes for numbers
    assert field_values(parse_fields(names), kind_of=unmapped) == {
        "title": "Infinity",
        "series": "NaN",
        "sku": "12e450",
    }
    with pytest.raises(click.UsageError, match="must look like name=value"):
        parse_fields(["title"])


@pytest.mark.parametrize(
    ("text", "of_number", "of_text"),
    [
        ("1.10", 1.1, "1.10"),
        ("12e4", 120000.0, "12e4"),
        ("true", True, "true"),
        ('"1.10"', "1.10", "1.10"),
        ('["1.10", 2]', ["1.10", 2], ["1.10", 2]),
        ("null", "null", "null"),
        ('{"a": 1}', '{"a": 1}', '{"a": 1}'),
        ('"open', '"open', '"open'),
    ],
)
def test_field_options_stay_as_written_where_the_index_takes_texts(
    text: str, of_number: object, of_text: object
) -> None:
    for kind, value in (("number", of_number), (None, of_number), ("text", of_text)):
        assert field_values({"x": [text]}, kind_of={"x": kind}.get) == {"x": value}  # type: ignore[arg-type]


def test_map_options_become_columns() -> None:
    assert parse_columns(["video_url=uri", "a=b=id", "note="]) == {
        "video_url": "uri",
        "a=b": "id",
        "note": "",
    }
    with pytest.raises(click.UsageError, match="--map 'uri' must look like column=field"):
        parse_columns(["uri"])


def test_uri_that_is_not_utf8_is_named_without_its_signature() -> None:
    uri = "https://me:hush@h/caf\udce9.mp4?sig=hush"
    result = CliRunner().invoke(ingest, [uri])
    assert result.exit_code == 2
    assert "1 with a name that is not UTF-8: rename them (https://h/caf\\xe9.mp4)" in result.output
    with pytest.raises(click.UsageError) as raised:
        from_uris([uri], id_from="uri")
    assert "hush" not in result.output + raised.value.message


def test_two_sources_of_one_id_raise_without_signatures() -> None:
    uris = ["https://me:hush@h/a/x.mp4?sig=hush", "https://h/b/x.mp4?sig=hush"]
    result = CliRunner().invoke(ingest, [*uris, "--id-from", "name"])
    assert result.exit_code == 2
    assert "https://h/a/x.mp4 and https://h/b/x.mp4 have the same id 'x'" in result.output
    assert "hush" not in result.output
