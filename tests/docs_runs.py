"""Where each block of code in the docs runs, and which do not run, with the reason.

A block of Python is named by its page and its number there, a command by its line. Tests take from
here what they run; ``tests/unit/test_docs_runs.py`` holds all of this to the pages, so that a new
block fails until somebody has said where it runs. JavaScript is parsed, and data are loaded, by
``tests/unit/test_docs_blocks.py``: neither does anything by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.docs_pages import PAGES, blocks
from tests.quoted_commands import shell_lines

__all__ = [
    "COMMANDS",
    "COMMANDS_ELSEWHERE",
    "COMMANDS_NOT_RUN",
    "EXIT_CODES",
    "PYTHON",
    "PYTHON_NOT_RUN",
    "PlaceOfCommands",
    "all_command_lines",
    "reason_of",
    "run_python",
]

MEMORY = "tests/unit/test_docs_python_in_memory.py"
NODE = "tests/integration/test_docs_python.py"
EXAMPLES = "tests/e2e/test_examples.py"

PYTHON: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "README.md": {EXAMPLES: (1, 2)},
    "docs/broker.md": {MEMORY: (1, 2)},
    "docs/encoders.md": {MEMORY: (1, 2)},
    "docs/engines.md": {NODE: (1, 2, 3)},
    "docs/evaluation.md": {MEMORY: (2,)},
    "docs/frameworks.md": {MEMORY: (1, 2, 3, 4, 5, 6), NODE: (7, 8, 9)},
    "docs/howto-backend.md": {EXAMPLES: (1,)},
    "docs/media.md": {MEMORY: (1, 2)},
    "docs/operations.md": {MEMORY: (1, 2)},
    "docs/reindex.md": {NODE: (1, 2, 3)},
    "docs/search.md": {NODE: tuple(range(1, 10))},
}
"""By page, which of its blocks of Python run in which file of tests."""

PYTHON_NOT_RUN: Mapping[tuple[str, int], str] = {
    ("docs/evaluation.md", 1): "downloads a data set of videos, with an extra (`mteb`) that is "
    "not among those of the tests; tests/unit/test_evaluation_mteb.py has MtebSearch",
}

PlaceOfCommands = str
"""``empty``: there is no index yet; ``attached``: an index of an application, ``products``;
``videos``: an index with videos."""

_IN_ORDER = {
    "empty": """
vidsearch index create --dry-run
vidsearch index create
vidsearch index diff
VIDSEARCH_INDEX__QUANTIZATION=binary vidsearch index diff
VIDSEARCH_INDEX__QUANTIZATION=binary vidsearch index diff --apply
vidsearch plan --videos 1500000 --seconds 18 --replicas 0
vidsearch plan --videos 20000 --seconds 2700 --engine opensearch --workers 8 --json
""",
    "attached": """
vidsearch index attach products --uri-field media.url --dry-run
vidsearch index attach products --uri-field media.url
export VIDSEARCH_INDEX__NAME=products
vidsearch scan --dry-run
vidsearch scan
vidsearch reindex --shards 3
vidsearch reindex rollback
vidsearch index detach
""",
    "videos": """
vidsearch status
vidsearch search "a red circle"
vidsearch search "a boat leaves the harbour" -k 5 --filter 'year>=2024' --explain
vidsearch search "a boat leaves the harbour" --mode vector --body > legs.json
vidsearch search "a boat leaves the harbour" -k 10 --explain
vidsearch search "a boat leaves the harbour" --body
vidsearch search "a boat leaves the harbour" -k 3 --explain
vidsearch search --like clip-42 -k 3
vidsearch embed text "a boat leaves the harbour" --out boat.npy
vidsearch embed video clip.mp4 --out clip.npy
vidsearch eval pairs --csv captions.csv --videos /videos --model demo --variant exact \
--variant binary+rerank100
vidsearch eval pairs --csv captions.csv --videos /videos --report pairs.html
vidsearch eval pairs --csv captions.csv --videos /videos --model /models/ours
vidsearch eval search --judgements judged.csv
vidsearch eval search --judgements judged.csv --tune --report searches.html
vidsearch eval search --judgements judged.qrels --topics topics.tsv -k 20 --tune \
--report searches.html
vidsearch reindex --quantization binary --shards 3 --dry-run
vidsearch reindex --quantization binary --shards 3
vidsearch reindex list
vidsearch reindex rollback
vidsearch reindex --quantization binary --dry-run
vidsearch reindex --quantization binary
vidsearch reindex clean
vidsearch videos list --state failed
vidsearch videos list --state failed --state dead --error VideoOpenError
vidsearch videos show ID
vidsearch videos show film
vidsearch videos retry --error SourceUnavailableError
vidsearch videos retry --all
vidsearch videos purge --error VideoOpenError
vidsearch ingest --folder /videos --exclude raw --depth 3
vidsearch ingest --folder /videos --prune --dry-run
vidsearch ingest --csv videos.csv --map link=uri --map number=id
vidsearch ingest --parquet videos.parquet --base s3://bucket/clips
generate | vidsearch ingest --jsonl -
vidsearch embeddings show
vidsearch embeddings prune --dry-run
vidsearch embeddings drop
""",
}
COMMANDS: Mapping[PlaceOfCommands, tuple[str, ...]] = {
    place: tuple(lines.strip().splitlines()) for place, lines in _IN_ORDER.items()
}
"""Lines that ``tests/integration/test_docs_shell.py`` runs, in this order."""

EXIT_CODES: Mapping[str, int] = {
    "VIDSEARCH_INDEX__QUANTIZATION=binary vidsearch index diff": 1,
}
"""Of lines that do not end with 0."""

COMMANDS_ELSEWHERE: Mapping[str, str] = {
    r"make demo( ENGINE=opensearch)?": "tests/e2e/test_demo_command.py",
    r"vidsearch local (up --model demo|down)": "tests/integration/test_local_stack_commands.py",
    r"vidsearch ingest --folder /videos --wait": "tests/integration/test_ingest_commands.py",
    r"vidsearch ingest --folder /videos --watch 30": "tests/unit/test_ingest_watch.py",
    r"vidsearch check": "tests/integration/test_check_command.py",
    r"vidsearch index recall": "tests/integration/test_recall_engines.py",
    r"vidsearch status --watch": "tests/integration/test_status_command.py",
    r"vidsearch metrics --port 9850": "tests/integration/test_status_command.py",
    r"vidsearch web( --host 0\.0\.0\.0 --port 80)?": "tests/unit/test_cli_serving.py",
    r"vidsearch model export .*": "tests/unit/test_cli_model.py",
    r"vidsearch finetune --csv captions\.csv .*": "tests/unit/test_cli_finetune.py",
    r"vidsearch reindex (resume|--model /models/.*)": "tests/integration/test_reindex_commands.py",
    r"celery -A vidsearch_tasks worker.*": "tests/integration/test_worker_shutdown.py",
    r"(celery -A filmsite|python manage\.py) .*": "tests/e2e/test_django_example.py",
    r"(uvicorn|flask) --app.*": "tests/e2e/test_examples.py",
    r"curl .*localhost:(8000|5000)/search.*": "tests/e2e/test_examples.py",
    r"curl .*localhost:8800/api/search.*": "tests/integration/test_web_api.py",
    r'(VECTOR=|curl -s "\$ENGINE).*': "tests/integration/test_raw_queries.py",
    r"vidsearch search .* --filter 'year>=2024' --body": "tests/integration/test_raw_queries.py",
    r"python -m training\.new_vocabulary": "tests/unit/test_new_vocabulary.py",
    r"\.venv/bin/python -m pytest tests/drills": "tests/drills/test_drills.py",
}
"""Patterns of whole lines whose program or route another file of tests runs, with other words."""

COMMANDS_NOT_RUN: Mapping[str, str] = {
    r"docker .*": "there is no Docker daemon where tests run; the files are checked",
    r"(kubectl|helm) .*": "there is no Kubernetes cluster; what helm renders is checked",
    r"(pip|hf) .*": "they download gigabytes; `make extras` installs each extra",
    r"make (setup|check|test|test-quick|drill|bench)": "they make, or run, the tests themselves",
    r"python -m (training\.train|benchmarks.*)": "hours of work, or figures that noise spoils",
    r"python -m training\.measure.*": "minutes of work; tests/e2e/test_quality.py measures less",
    r"accelerate launch .*": "needs several GPUs",
    r".*(Searchium-ai/|openai/|/data/|MSRVTT|results_2M).*": "a checkpoint of 600 MB from the "
    "model hub, or a data set that is not distributed any more",
    r"(export |PROMETHEUS|\. \.venv).*": "sets up a shell; test_docs_blocks.py loads the settings",
    r"(python3 -c .* \|| *curl .*VIDSEARCH_ENGINE__URL.*)": "halves of a pipe to curl; "
    "tests/integration/test_search_queries.py sends the bodies that `--body` prints",
}
"""Patterns of whole lines that nobody runs, and why."""


def run_python(
    page: str,
    place: str,
    names: dict[str, Any],
    *only: int,
    changed: Mapping[str, str] | None = None,
) -> None:
    """Run a page's blocks of Python, as a reader would, one after the other with the same names.

    Args:
        page: such as ``docs/search.md``.
        place: the file of tests that runs them, as :data:`PYTHON` has it.
        names: what the text of the page introduces; what blocks define is added.
        only: numbers of blocks, of those of this place; by default all.
        changed: texts to replace, such as the host of an example.
    """
    chosen = PYTHON[page][place]
    assert {*only} <= {*chosen}
    for number, code in enumerate(blocks(page, "python"), start=1):
        if number in (only or chosen):
            for old, new in (changed or {}).items():
                code = code.replace(old, new)
            exec(compile(code, f"{page}, block {number} of Python", "exec"), names)


def all_command_lines() -> Iterator[tuple[str, str]]:
    """Page and line of every command in blocks; that of docs/cli.md is generated text."""
    for page in PAGES:
        for line in shell_lines(page):
            yield page, re.sub(r"\s+", " ", line)


def reason_of(line: str, patterns: Mapping[str, str]) -> str | None:
    """What the first pattern says that fits the whole line."""
    return next((said for each, said in patterns.items() if re.fullmatch(each, line)), None)
