"""Every fenced block of the docs is what it says: Python, commands, settings, data."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.docs_pages import FENCE, PAGES, ROOT, blocks, each_page
from tests.quoted_commands import shell_lines

from vidsearch.config import load_settings

SHELL = ("", "console", "sh", "bash")
LANGUAGES = {*SHELL, "python", "toml", "json", "yaml", "js", "html", "text"}
GIVEN = {
    "docs/broker.md": ("app", "settings"),
    "docs/media.md": ("token",),
    "docs/operations.md": ("app",),
}
"""Names in the Python of a page that its text introduces."""
CHECKED_ELSEWHERE = {"vidsearch", "make", "python", "curl"}
"""Programs whose calls other tests of the docs check or run."""
OTHERS = {"pip", "celery", "docker", "export", "hf", "generate", "jq", "helm", "kubectl", "."} | {
    *("accelerate", "cut", "flask", "head", "tail", "uvicorn"),
}
"""Other programs; below is what is checked of their calls."""


def test_every_block_says_a_language_that_is_checked() -> None:
    # docs/cli.md and docs/api.md, in ``text``, are generated.
    named = {
        (page, language) for page, text in PAGES.items() for language, _ in FENCE.findall(text)
    }
    assert {each for each in named if each[1] not in LANGUAGES} == set()
    assert {page for page, language in named if language == "text"} <= {
        *("docs/api.md", "docs/cli.md"),
    }


# -- Python


def test_names_in_python_blocks_are_defined(tmp_path: Path) -> None:
    for page in PAGES:
        given = "".join(f"{name} = None\n" for name in GIVEN.get(page, ()))
        text = given + "".join(blocks(page, "python"))
        (tmp_path / f"{page.replace('/', '_')}.py").write_text(text, encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache"]
    done = subprocess.run(
        [*ruff, "--select", "E9,F82,F63,F7", "--output-format", "concise", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def _imports(page: str) -> Iterator[tuple[str, str | None]]:
    """Module and name of each import."""
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                yield from ((node.module or "", alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)


@each_page
def test_imports_of_python_blocks_lead_to_something(page: str) -> None:
    # The extra `mteb` is not among those of the tests.
    absent = {name for name in ("mteb",) if importlib.util.find_spec(name) is None}
    for module, name in _imports(page):
        if module.partition(".")[0] in absent:
            continue
        spec = importlib.util.find_spec(module)
        assert spec is not None, module
        # By its source where that says it: modules of Django are not imported without a site.
        if name is None or name in _bound_in(spec.origin):
            continue
        if not hasattr(importlib.import_module(module), name):
            importlib.import_module(f"{module}.{name}")


def _bound_in(file: str | None) -> set[str]:
    """Names that a module's own source binds at its top."""
    if file is None or not file.endswith(".py"):
        return set()
    names: set[str] = set()
    for node in ast.parse(Path(file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


# -- shells


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_shell_blocks_have_the_syntax_of_a_shell(tmp_path: Path) -> None:
    for page in PAGES:
        text = "".join(blocks(page, *SHELL))
        path = tmp_path / page.replace("/", "_")
        path.write_text(re.sub(r"^\$ ", "", text, flags=re.MULTILINE), encoding="utf-8")
    loop = 'for file in "$0"/*; do bash -n "$file" || exit 1; done'
    done = subprocess.run(
        ["bash", "-c", loop, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def _programs(line: str) -> Iterator[str]:
    for part in re.split(r"&&|\|\||[;|]|\$\(", line):
        words = [word for word in part.split() if not re.match(r"[A-Za-z_]+=", word)]
        if words:
            yield Path(words[0]).name or words[0]


@each_page
def test_programs_in_shell_blocks_are_known(page: str) -> None:
    named = {name for line in shell_lines(page) for name in _programs(_unquoted(line))}
    assert {re.sub(r"3$", "", name) for name in named} <= CHECKED_ELSEWHERE | OTHERS


def _unquoted(line: str) -> str:
    """Without what stands in quotes, which may hold anything."""
    return re.sub(r"'[^']*'|\"[^\"$]*\"", "''", line)


@each_page
def test_modules_run_by_python_exist(page: str) -> None:
    for line in shell_lines(page):
        if found := re.search(r"\bpython3? -m ([\w.]+)", line):
            assert importlib.util.find_spec(found[1]) is not None, line


@each_page
def test_celery_takes_the_options_shown(page: str) -> None:
    from celery.bin.celery import celery

    for line in shell_lines(page):
        words = shlex.split(line)
        if words[:2] != ["celery", "-A"]:
            continue
        command = celery.commands.get(words[3])
        assert command is not None, line
        known = {name for option in command.params for name in option.opts}
        used = {word.partition("=")[0] for word in words[4:] if word.startswith("-")}
        assert used <= known, line


@each_page
def test_services_and_profiles_of_compose_exist(page: str) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    profiles = {name for each in compose.values() for name in each.get("profiles", ())}
    for line in shell_lines(page):
        for service in re.findall(r"docker compose (?:exec|run --rm|logs) (\w+)", line):
            assert service in compose, line
        assert set(re.findall(r"docker compose .*--profile (\w+)", line)) <= profiles, line


@each_page
def test_arguments_and_targets_of_images_exist(page: str) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    for line in shell_lines(page):
        for argument in re.findall(r"docker build .*--build-arg (\w+)=", line):
            assert f"\nARG {argument}=" in dockerfile, line
        for target in re.findall(r"docker build .*--target (\w+)", line):
            assert re.search(rf"^FROM .* AS {target}$", dockerfile, re.MULTILINE), line


@each_page
def test_variables_that_are_set_have_values_that_load(
    page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, *SHELL):
        with monkeypatch.context() as environment:
            for word in re.findall(r"^(?:\$ )?(?:export )?(VIDSEARCH_.*)$", block, re.MULTILINE):
                for pair in shlex.split(word, comments=True):
                    name, equals, value = pair.partition("=")
                    if equals and name.startswith("VIDSEARCH_"):
                        environment.setenv(name, value)
            load_settings()


# -- data


@each_page
def test_data_in_blocks_is_well_formed(page: str) -> None:
    for block in blocks(page, "json"):
        json.loads(block)
    for block in blocks(page, "yaml"):
        assert yaml.safe_load(block) is not None


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
def test_javascript_blocks_have_its_syntax(tmp_path: Path) -> None:
    found = [(page, block) for page in PAGES for block in blocks(page, "js")]
    assert found
    for at, (page, block) in enumerate(found):
        path = tmp_path / f"{at}.mjs"
        path.write_text(block, encoding="utf-8")
        done = subprocess.run(
            ["node", "--check", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{page}: {done.stderr}"
