# Token to Agent. On a machine with Python 3.11 and make: `make book` reads, `make test` checks.
# Every target sets up what it needs in .venv, once; a second call costs nothing.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8000
SITE   := _build/html
SOURCES = _config.yml _toc.yml $(shell find book notebooks -type f 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help book serve lab test quick notebooks checkpoints repository clean
.DELETE_ON_ERROR:

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | \
	  while IFS='|' read -r name text; do printf '%-22s %s\n' "$$name" "$$text"; done

# --- set-up: stamps are newer than the pins they installed ------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "$(PYTHON) is missing or older than 3.11: install Python 3.11 or newer, or name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing: apt-get install python3-venv (as root), then run make again"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.book: requirements-book.txt constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-book.txt -c constraints.txt
	@touch $@

$(VENV)/.all: requirements.txt requirements-book.txt constraints.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@ $(VENV)/.book

# --- the book ---------------------------------------------------------------------------------

$(SITE)/.built: $(VENV)/.book $(SOURCES)
	@$(BIN)/python -c 'import sys; sys.path.insert(0, "book/scripts"); import build; sys.exit(build.main())'
	@touch $@

book: $(SITE)/.built ## build the site
	@echo "The book is built: open $(SITE)/index.html, or run make serve"

serve: book ## build the site and serve it at http://localhost:8000 (PORT=…)
	@echo "Reading at http://localhost:$(PORT) ; Ctrl-C stops"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

lab: $(VENV)/.all ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir notebooks

# --- checks -----------------------------------------------------------------------------------

test: $(VENV)/.all ## check everything: style, library, exercises, notebooks, site (ONLY="site …" for some)
	@$(BIN)/python tests/run_all.py $(ONLY)

quick: $(VENV)/.all ## the inner loop: style and the fast library tests
	@$(BIN)/python tests/run_all.py --quick

# --- what is committed as the result of a run -------------------------------------------------

notebooks: $(VENV)/.all ## run every notebook again and store its outputs (ONLY="04 05" for some)
	@$(BIN)/python book/scripts/run_notebooks.py $(ONLY)

checkpoints: $(VENV)/.all ## train again the tokenizer and the models that are shipped
	@$(BIN)/python -m llmlib.recipes.ship

repository: ## write the repository's address everywhere: make repository URL=https://github.com/you/repo
	@$(PYTHON) book/scripts/set_repository.py "$(URL)"

clean: ## remove what was built (not .venv)
	rm -rf _build
