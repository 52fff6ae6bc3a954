# Two commands do all: `make book` and `make test`. Each sets up its environment by itself.
# `make help` lists the rest.

PROFILE ?= quick
PHOTOS  ?= $(SSGAN_PHOTOS)
MNIST   ?= $(SSGAN_MNIST)
ONLY    ?=
VENV    ?= .venv
PYTHON  ?= python3

ifeq ($(filter smoke quick full,$(PROFILE)),)
$(error PROFILE=$(PROFILE): accepted are smoke, quick, full)
endif

UV_VERSION := 0.13.9
BIN        := $(abspath $(VENV))/bin
STAMP      := $(VENV)/.installed
quote       = '$(subst ','\'',$(1))'

# What the environment was made from: the lock file, and this checkout (installed editable).
WANTED := $(shell git hash-object requirements.lock pyproject.toml | tr '\n' ' ')$(CURDIR)

.DEFAULT_GOAL := help
.PHONY: help book pages test lab photos lock lint clean env

help:  ## show this list
	@echo "make book    run the chapters that changed and build the book: _build/html/index.html"
	@echo "make pages   build the book from chapters that were run elsewhere (book/chapters/)"
	@echo "make test    run the tests"
	@echo "make lab     open the chapters in JupyterLab, .ipynb and .md paired"
	@echo "make photos  download cats and dogs that need no account (Oxford-IIIT Pet, 800 MB)"
	@echo "make lint    check style and that the chapters' pairs agree"
	@echo "make lock    pin requirements.txt anew into requirements.lock"
	@echo "make clean   remove what the book makes (not data/, not the environment)"
	@echo
	@echo "PROFILE=smoke|quick|full  how much to compute           [$(PROFILE)]"
	@echo "PHOTOS=folder             photos of cats and dogs       [$(or $(PHOTOS),drawn pets)]"
	@echo "MNIST=folder              MNIST for torchvision         [$(or $(MNIST),8x8 digits)]"
	@echo "ONLY=07,08                run these chapters only       [$(or $(ONLY),all)]"
	@echo "VENV=folder               the environment               [$(VENV)]"

book: env  ## the book
	@$(BIN)/python -m book.build --profile $(PROFILE) --photos $(call quote,$(PHOTOS)) \
		--mnist $(call quote,$(MNIST)) --only $(call quote,$(ONLY))

pages: env  ## the book, nothing run
	@$(BIN)/python -m book.build --pages-only

test: env  ## the tests
	@$(BIN)/python -m pytest

lab: env  ## JupyterLab
	@SSGAN_PHOTOS=$(call quote,$(abspath $(PHOTOS))) SSGAN_MNIST=$(call quote,$(abspath $(MNIST))) \
		$(BIN)/jupyter lab notebooks

photos: env  ## Oxford-IIIT Pet
	@$(BIN)/python -m book.get_photos

lint: env  ## style and pairs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python -m book.discover

lock: env  ## pin anew
	@$(BIN)/uv pip compile requirements.txt --universal --generate-hashes --python-version 3.11 \
		-q --no-header --no-emit-index-url -o requirements.lock

clean:  ## remove what the book makes
	rm -rf _build book/chapters book/logs runs

# Nothing happens here while the lock file is the one that the environment was made from.
env:
	@if [ "$$(cat $(STAMP) 2>/dev/null)" != "$(WANTED)" ]; then \
		set -e; \
		test -x $(BIN)/python || { \
			$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
				echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); 3.11 or newer is needed (PYTHON=...)" >&2; \
				exit 1; }; \
			echo "making the environment $(VENV)"; \
			$(PYTHON) -m venv $(VENV); }; \
		echo "installing requirements.lock into $(VENV)"; \
		test "$$($(BIN)/uv --version 2>/dev/null | cut -d' ' -f2)" = $(UV_VERSION) || \
			$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION); \
		VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip sync $$(test -t 2 || echo -q) --require-hashes requirements.lock; \
		VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install -q --no-deps --no-build-isolation -e .; \
		echo "$(WANTED)" > $(STAMP); \
	fi
