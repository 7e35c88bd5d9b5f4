# SPDX-License-Identifier: GPL-2.0-only
# The verbs of the house.  All that is needed: Python 3.11 or later, git and make.

VENV := .venv
BIN := $(VENV)/bin
LINUX ?= fixtures/demo
export LINUX
# A path may hold spaces; a shell that did not expand "~" left it to us.
TREE = "$$(case $$LINUX in "~/"*) echo "$$HOME/$${LINUX\#??}";; *) echo "$$LINUX";; esac)"

# The first Python that is new enough; override with "make PYTHON=...".
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	{ echo $$name; break; }; done)

.DEFAULT_GOAL := check
.PHONY: setup check test lint fixtures docs bench clean

# All that a contributor needs; "make check" alone installs no tools.
setup: $(VENV)/tools

PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
FAILED = { echo "make: pip could not install what pyproject.toml asks for; see its message above" >&2; \
	exit 1; }

$(VENV)/ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { \
		echo "make: there is no Python 3.11 or later here; install one, or name it with PYTHON=path" >&2; \
		exit 1; }
	@rm -rf $(VENV); "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "make: $(PYTHON) cannot make a virtual environment; on Debian and Ubuntu run: apt-get install python3-venv" >&2; \
		exit 1; }
	@$(PIP) --editable . || $(FAILED)
	@$(BIN)/python -m compileall -q patchtool
	@touch $@

$(VENV)/tools: $(VENV)/ready
	@$(PIP) --editable '.[dev]' || $(FAILED)
	@touch $@

# A gap is an answer and no failure of make: only exit status 2 is one.
check: $(VENV)/ready
	@test -e $(TREE) || { set -- $$LINUX; \
		echo "make: there is no \"$$LINUX\"; LINUX is the path of one kernel tree$${2+, spaces and all: call make for each}" >&2; \
		exit 1; }
	@status=0; $(BIN)/patchtool check $(TREE) || status=$$?; \
	case $$status in \
	0) said="nothing wrong, everything decided";; \
	1) said="at least one gap";; \
	3) said="no gap, but something undecided";; \
	*) said="could not check";; \
	esac; \
	echo "patchtool check \"$$LINUX\": exit status $$status ($$said)"; \
	case $$status in 0|1|3) ;; *) exit $$status;; esac

test: setup
	@$(BIN)/pytest --numprocesses auto --dist worksteal

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Rewrites the expected files; read the diff before you commit it.
fixtures: setup
	@$(BIN)/pytest --rewrite

docs: setup
	@$(BIN)/python docs/generate.py

bench: setup
	@$(BIN)/python -m compileall -q patchtool
	@$(BIN)/python bench/run.py $(TREE)
	@$(BIN)/python bench/history.py
	@$(BIN)/python bench/devil.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
