# The same commands for people and for CI. `make` lists them.
ENGINE ?= elasticsearch
# Processes that share the tests, and the nodes. They wait more than they compute.
TESTERS ?= 3
BIN := .venv/bin
# With one thread each: those of torch that wait for each other would take the cores of others.
SHARED := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder
# Every process of the tests, and there are hundreds, would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-quick drill check format docs site extras chart bench clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## make .venv with everything
	@PYTHONDONTWRITEBYTECODE=$(PYTHONDONTWRITEBYTECODE) scripts/setup

demo: setup ## the whole way on this machine (ENGINE=opensearch for the other engine)
	@$(BIN)/vidsearch demo --engine $(ENGINE)

test: setup ## all tests, on real nodes, Redis and workers
	@$(SHARED)

test-quick: setup ## tests that need no node or worker, without the long ones of the decoders
	@$(SHARED) tests/unit --ignore-glob='*/test_media_*'

drill: setup ## kills and outages while thousands of videos are ingested or reindexed; ends with tables
	@$(BIN)/python -m pytest -m drill -k "not short"

check: setup ## format, lint, types, import contract, docs and their site
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_docs.py --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python -m benchmarks --check

format: setup ## format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup ## write the generated parts of the docs
	$(BIN)/python scripts/generate_docs.py

site: setup ## build the docs into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

extras: setup ## install the wheel with each extra in a bare environment (downloads gigabytes)
	$(BIN)/python scripts/check_extras.py

chart: setup ## lint the Helm chart and render it into tests/data/helm; needs helm
	$(BIN)/python scripts/render_chart.py

bench: setup ## the benchmarks
	$(BIN)/python -m benchmarks --torchcodec

clean: ## remove what setup and runs made
	rm -rf .venv .vidsearch build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
