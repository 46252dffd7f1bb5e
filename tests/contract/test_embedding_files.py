"""What keeps the files of the embedding store: an index of each engine, a folder, a bucket."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tls_proxy import tls_proxy

from vidsearch.config import EngineSettings, IndexSettings
from vidsearch.embeddings.index_files import IndexFiles, drop_embeddings_index
from vidsearch.embeddings.store import Files
from vidsearch.engines import Engine, connect
from vidsearch.local import SearchNode
from vidsearch.media.file_store import FileStore
from vidsearch.testing.memory_engine import MemoryEngine

LARGE = os.urandom(7 * 2**20)  # three parts, the last one short


class FilesContract:
    def test_a_file_comes_back_as_it_was_written(self, files: Files) -> None:
        assert files.read("ab/x/frames.npz") is None
        for data in (b"some bytes \0\xff", b"", LARGE):
            files.write("ab/x/frames.npz", data)
            assert files.read("ab/x/frames.npz") == data
        assert files.read("ab/x/frames") is None
        assert files.read("ab/x") is None

    def test_several_files_are_read_by_their_keys_without_those_that_are_absent(
        self, files: Files
    ) -> None:
        keys = ["ab/x/one", "ab/x/large", "ab/x/absent"]
        assert files.read_many(keys) == {}
        files.write("ab/x/one", b"1")
        files.write("ab/x/large", LARGE)
        assert files.read_many(keys) == {"ab/x/one": b"1", "ab/x/large": LARGE}

    def test_a_file_that_is_written_again_is_the_new_one(self, files: Files) -> None:
        files.write("a", LARGE)
        files.write("a", b"short")
        assert files.read("a") == b"short"
        files.write("a", LARGE)
        assert files.read("a") == LARGE

    def test_files_are_listed_with_their_size_and_time(self, files: Files) -> None:
        assert list(files.files()) == []
        files.write("ab/x/one", b"1")
        files.write("ab/x/large", LARGE)
        listed = {file.key: file for file in files.files()}
        assert {key: file.size for key, file in listed.items()} == {
            "ab/x/one": 1,
            "ab/x/large": len(LARGE),
        }
        for file in listed.values():
            assert file.written is not None
            assert abs(file.written - time.time()) < 60

    def test_files_are_removed_and_absent_ones_are_no_error(self, files: Files) -> None:
        files.remove(["absent"])
        for key in ("a/one", "a/two", "a/three"):
            files.write(key, LARGE)
        files.remove(["a/one", "a/absent", "a/three"])
        assert [file.key for file in files.files()] == ["a/two"]
        assert files.read("a/one") is None
        assert files.read("a/two") == LARGE

    def test_readers_of_a_file_that_is_written_see_all_of_it_or_nothing(self, files: Files) -> None:
        versions = [bytes([number]) * (4 * 2**20) for number in range(6)]
        files.write("a", versions[0])
        seen: list[bytes | None] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                seen.append(files.read("a"))

        reader = threading.Thread(target=read)
        reader.start()
        for version in versions:
            files.write("a", version)
        done.set()
        reader.join()
        assert all(data is None or data in versions for data in seen)
        assert files.read("a") == versions[-1]


class TestFolder(FilesContract):
    @pytest.fixture
    def files(self, tmp_path: Path) -> Files:
        return FileStore(str(tmp_path / "store"), setting="embeddings.url")


class TestMemoryIndex(FilesContract):
    @pytest.fixture
    def files(self) -> Files:
        return IndexFiles(MemoryEngine(), IndexSettings())


@pytest.mark.integration
class TestIndexOnRealNodes(FilesContract):
    @pytest.fixture
    def settings(self, index_name: str) -> IndexSettings:
        return IndexSettings(name=index_name, replicas=0)

    @pytest.fixture
    def files(self, engine: Engine, settings: IndexSettings) -> Iterator[Files]:
        yield IndexFiles(engine, settings)
        drop_embeddings_index(engine, settings)
        assert engine.indices_of(settings.embeddings) == ()

    def test_a_file_of_which_a_part_is_missing_counts_as_absent(
        self, files: Files, engine: Engine, settings: IndexSettings
    ) -> None:
        files.write("a", LARGE)
        engine.delete(settings.embeddings, "a#1")
        assert files.read("a") is None
        files.write("a", LARGE)
        assert files.read("a") == LARGE

    def test_the_index_is_hidden_and_no_document_exceeds_five_megabytes(
        self, files: Files, engine: Engine, settings: IndexSettings
    ) -> None:
        files.write("a", LARGE)
        (name,) = engine.indices_of(settings.embeddings)
        assert str(engine.settings(name)["hidden"]).lower() == "true"
        assert engine.aliases(name) == {settings.embeddings: {"is_hidden": True}}
        parts = [engine.get(settings.embeddings, f"a#{part}") for part in range(3)]
        assert [len(part.source["data"]) <= 5 * 2**20 for part in parts if part] == [True] * 3


@pytest.mark.integration
class TestIndexBehindAProxyThatTakesAMegabyte(FilesContract):
    """As nginx does by default."""

    @pytest.fixture
    def files(self, elasticsearch_9: SearchNode, index_name: str) -> Iterator[Files]:
        settings = IndexSettings(name=index_name, replicas=0)
        with tls_proxy(elasticsearch_9.url, certificate=None, max_body=lambda path: 2**20) as proxy:
            engine = connect(EngineSettings(url=proxy.url))
            yield IndexFiles(engine, settings)
            drop_embeddings_index(engine, settings)
            engine.close()
