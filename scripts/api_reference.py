"""The Python API as a page of the docs: names, signatures and docstrings, read from the sources.

``scripts/generate_docs.py`` writes docs/api.md by it. Nothing is written by hand but the list of
modules: what a module's ``__all__`` names is public.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from enum import Enum
from typing import Any

from vidsearch.errors import VidsearchError

__all__ = ["api_reference"]

MODULES = {
    "vidsearch": "Searching, and the [settings](settings.md).",
    "vidsearch_tasks": "What applications call to register, look up and delete videos, and to "
    "reindex. The same for an event loop is in `vidsearch_tasks.aio`.",
    "vidsearch.search": "What searches take and return, beside the names above.",
    "vidsearch.reindex": "What `reindexer` and `run_store` of `vidsearch_tasks` return and take.",
    "vidsearch.registration": "Files that list videos.",
    "vidsearch.encoders": "Models, and what [an encoder of your own](encoders.md) has to do.",
    "vidsearch.engines": "[Connections](engines.md) to Elasticsearch and OpenSearch.",
    "vidsearch.index": "[Indices](indices.md): made, opened, attached, compared.",
    "vidsearch.web": "The [search page and the HTTP API](web.md) in an ASGI server of your own.",
    "vidsearch.contrib.django.models": "For [a Django project](frameworks.md#django).",
    "vidsearch.contrib.django.search": "What a search gives there.",
    "vidsearch.contrib.django.admin": "Its admin site.",
    "vidsearch.contrib.langchain": "For [LangChain](frameworks.md#langchain).",
    "vidsearch.contrib.haystack": "For [Haystack](frameworks.md#haystack).",
    "vidsearch.contrib.llamaindex": "For [LlamaIndex](frameworks.md#llamaindex).",
    "vidsearch.contrib.passages": "What the retrievers of these three return, before each gives it "
    "the form of its framework.",
    "vidsearch.testing.in_process": "For the tests of your application.",
}
_INTRO = """\
This page is written by `make docs` from signatures and docstrings. How to use the names is in the
guides, beginning with [searching](search.md) and [for backend engineers](howto-backend.md).
"""
_LEFT_OUT = {
    *("__version__", "app"),
    *("TEXT_FIELDS", "PassageSearch", "passages_of", "search_rows"),  # for modules beside theirs
}
_MADE_BY_OTHERS = {"Services", "SearchRequest", "Settings"}
"""Classes whose methods are for vidsearch itself; applications make them and pass them on."""
_OF_FRAMEWORKS = {"model_post_init", "get_changelist"}
"""Methods that a framework calls."""
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_ROLE = re.compile(r":\w+:`(~?)([^`]+)`")
_SECTION = re.compile(r"(Args|Raises|Returns|Yields|Attributes):$")
_ITEM = re.compile(r"(\*{0,2}[\w, ]+):(?: |$)(.*)")


def api_reference() -> str:
    """The whole of docs/api.md."""
    _set_frameworks_up()
    parts = ["# Python API\n", _INTRO]
    seen: list[object] = []
    for name, about in MODULES.items():
        parts.append(f"## {name}\n\n{about}\n")
        module = importlib.import_module(name)
        for public in sorted(set(module.__all__) - _LEFT_OUT, key=_by_letters):
            value = getattr(module, public)
            if not any(value is other for other in seen):
                seen.append(value)
                parts += _described(public, value, name)
    return linked("\n".join([*parts, *_errors()]))


def _set_frameworks_up() -> None:
    """So that the modules about them can be imported, and do nothing else."""
    os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "false"
    import django
    from django.conf import settings

    if not settings.configured:
        settings.configure(
            INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
            LOGGING_CONFIG=None,
        )
        django.setup()


def linked(page: str) -> str:
    """References of docstrings as code, with links to the headings of the page."""
    headings = set(re.findall(r"^#{3,4} (\S+)$", page, re.MULTILINE))

    def link(found: re.Match[str]) -> str:
        parts = found[2].split(".")
        shown = f"`{parts[-1] if found[1] else found[2]}`"
        (*_, owner) = ["", *re.findall(r"^### (\S+)$", page[: found.start()], re.MULTILINE)]
        for name in (".".join([owner, *parts][-2:]), parts[-1]):
            if name in headings:
                return f"[{shown}](#{name.lower().replace('.', '')})"
        return shown

    return _ROLE.sub(link, page)


def _by_letters(name: str) -> tuple[str, str]:
    return name.lower(), name


def _described(name: str, value: Any, module: str) -> Iterator[str]:
    yield f"### {name}\n"
    if inspect.isclass(value) and value.__name__ == name:
        yield from _class(name, value)
    elif inspect.isfunction(value):
        yield from _function(name, value)
    else:
        yield from _alias(name, module)


def _class(name: str, cls: type) -> Iterator[str]:
    node = _parsed(cls)
    assert isinstance(node, ast.ClassDef)
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            yield _block(_signature(name, each))
    if doc := ast.get_docstring(node):
        yield markdown_of(doc) + "\n"
    if fields := list(_fields(node, cls.__module__)):
        yield "\n".join(["**Attributes**\n", *fields]) + "\n"
    if issubclass(cls, Enum):
        yield ", ".join(f"`{each.value}`" for each in cls) + "\n"
    for each in [] if name in _MADE_BY_OTHERS else node.body:
        if not isinstance(each, _FUNCTION) or each.name.startswith("_"):
            continue
        if each.name in _OF_FRAMEWORKS:
            continue
        kinds = {ast.unparse(one) for one in each.decorator_list}
        yield f"#### {name}.{each.name}\n"
        if kinds & {"property", "build_once"}:
            yield f"`{ast.unparse(each.returns) if each.returns else ''}`, an attribute.\n"
        else:
            yield _block(_signature(each.name, each))
        if doc := ast.get_docstring(each) or _elsewhere(each.name, kinds, cls):
            yield markdown_of(doc) + "\n"


def _elsewhere(name: str, decorators: set[str], cls: type) -> str | None:
    """For a method without a docstring: where the one is that it does the same as."""
    for decorator in decorators:
        if found := re.fullmatch(r"same_arguments_as\((.+)\)", decorator):
            return f"See :meth:`{found[1]}`."
    bases = (base for base in cls.__mro__[1:] if name in vars(base))
    return next((f"See :meth:`{base.__name__}.{name}`." for base in bases), None)


def _function(name: str, function: Any) -> Iterator[str]:
    node = _parsed(function)
    assert isinstance(node, _FUNCTION)
    if "contextmanager" in map(ast.unparse, node.decorator_list):
        assert isinstance(node.returns, ast.Subscript)
        node.returns = node.returns.slice  # what `with` gives, not the iterator that it is made of
        yield _block(f"with {_signature(name, node)}")
    else:
        yield _block(_signature(name, node))
    if doc := ast.get_docstring(node):
        yield markdown_of(doc) + "\n"


def _alias(name: str, package: str) -> Iterator[str]:
    """A type under a name of its own, as the module that defines it writes it."""
    defined_in = [*sorted(_modules_of(package)), _definition(name, package)[0]]
    for module in map(importlib.import_module, defined_in):
        found = list(_assigned(ast.parse(inspect.getsource(module)).body))
        for target, value, doc in found:
            if target == name:
                yield _block(f"{name} = {ast.unparse(value)}")
                yield from [markdown_of(doc) + "\n"] if doc else []
                return


def _modules_of(package: str) -> Iterator[str]:
    module = importlib.import_module(package)
    if not hasattr(module, "__path__"):
        yield package
        return
    yield from (each.name for each in pkgutil.iter_modules(module.__path__, f"{package}."))


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr, str]]:
    """Names, values and docstrings of the assignments of a module."""
    for statement, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            yield statement.targets[0].id, statement.value, _docstring(after)


def _fields(node: ast.ClassDef, module: str) -> Iterator[str]:
    """A line for each attribute that is declared: of a dataclass, a model, a protocol."""
    for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        name, value = statement.target.id, statement.value
        if name.startswith("_"):
            continue
        doc, default = _docstring(after), value
        if isinstance(value, ast.Call):
            given = {each.arg: each.value for each in value.keywords}
            if "description" in given:
                doc = ast.literal_eval(given["description"])
            default = value.args[0] if value.args and "description" in given else None
        shown = f"{name}: {ast.unparse(_Plain(module).visit(statement.annotation))}"
        if isinstance(default, ast.Constant) and default.value is not Ellipsis:
            shown += f" = {ast.unparse(default)}"
        text = f": {_inline(' '.join(doc.split()))}" if doc else ""
        yield f"- `{shown}`{text}"


class _Plain(ast.NodeTransformer):
    """Leaves the types, without the names of those that are annotated for vidsearch itself."""

    def __init__(self, module: str) -> None:
        self._module = module

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if ast.unparse(node.value) != "Annotated":
            return self.generic_visit(node)
        assert isinstance(node.slice, ast.Tuple)
        kind: ast.AST = self.visit(node.slice.elts[0])
        return kind

    def visit_Name(self, node: ast.Name) -> ast.AST:
        module, value = _definition(node.id, self._module)
        is_annotated = isinstance(value, ast.Subscript) and ast.unparse(value.value) == "Annotated"
        kind: ast.AST = _Plain(module).visit(value) if value and is_annotated else node
        return kind


def _definition(name: str, module: str) -> tuple[str, ast.expr | None]:
    """The module that gives a name its value, and the value, if a module of this project does."""
    body = ast.parse(inspect.getsource(importlib.import_module(module))).body
    for target, value, _ in _assigned(body):
        if target == name:
            return module, value
    for each in body:
        if (
            isinstance(each, ast.ImportFrom)
            and str(each.module).startswith("vidsearch")
            and name in {one.name for one in each.names}
        ):
            return _definition(name, str(each.module))
    return module, None


def _docstring(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value)
    return ""


def _parsed(value: Any) -> ast.stmt:
    return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]


def _signature(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    given = node.args
    if given.args and given.args[0].arg in {"self", "cls"}:
        given.args = given.args[1:]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and name == node.name else ""
    awaited = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    line = f"{awaited}{name}({', '.join(_arguments(given))}){returns}"
    if len(line) <= 96:
        return line
    inside = "\n".join(f"    {each}," for each in _arguments(given))
    return f"{awaited}{name}(\n{inside}\n){returns}"


def _arguments(given: ast.arguments) -> Iterator[str]:
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + [*given.defaults]
    for argument, default in zip(plain, defaults, strict=True):
        yield _argument(argument, default)
    if given.vararg or given.kwonlyargs:
        yield f"*{ast.unparse(given.vararg)}" if given.vararg else "*"
    for argument, value in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield _argument(argument, value)
    if given.kwarg:
        yield f"**{ast.unparse(given.kwarg)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    if default is None:
        return text
    value = ast.unparse(default)
    return f"{text} = {'…' if value.startswith('_') else value}"


def _block(code: str) -> str:
    return f"```text\n{code}\n```\n"


def _inline(text: str) -> str:
    """Literals of a docstring as code of Markdown."""
    return text.replace("``", "`")


def markdown_of(doc: str) -> str:
    """A docstring in the style of this project as Markdown, with its references as they are."""
    lines: list[str] = []
    section = literal = False
    for line in inspect.cleandoc(doc).splitlines():
        indented = line.startswith("    ")
        if literal and line and not indented:
            literal, lines = False, [*lines, "```", ""]
        if found := _SECTION.match(line):
            section = found[1] not in {"Returns", "Yields"}
            lines.append(f"**{found[1]}**\n")
        elif literal:
            lines.append(line.removeprefix("    "))
        elif line.endswith("::") and not section:
            lines += [*([_inline(line.removesuffix(":")), ""] if line != "::" else []), "```text"]
            literal = True
        elif section and indented and (item := _ITEM.match(line.strip())) and line[4] != " ":
            names = ", ".join(f"`{name.strip()}`" for name in item[1].split(","))
            lines.append(f"- {names}: {_inline(item[2])}".rstrip())
        elif indented:
            lines.append(("  " if section else "") + _inline(line.strip()))
        else:
            section = section and not line
            lines.append(_inline(line))
    text = "\n".join([*lines, "```"] if literal else lines)
    return text.replace("```text\n\n", "```text\n").replace("\n\n```\n", "\n```\n")


def _errors() -> Iterator[str]:
    errors = importlib.import_module("vidsearch.errors")
    yield "## vidsearch.errors\n"
    yield (
        "Everything that is raised on purpose is a `VidsearchError`. Its `fault` says who is to "
        "blame, and [what a worker does](media.md#what-goes-wrong-and-what-it-is-called) then.\n"
    )
    yield "| error | is a | fault | |\n|---|---|---|---|"
    for name in errors.__all__:
        cls = getattr(errors, name)
        if inspect.isclass(cls) and issubclass(cls, VidsearchError):
            doc = _inline(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " "))
            yield f"| `{name}` | `{cls.__bases__[0].__name__}` | {cls.fault} | {doc} |"
    yield ""
