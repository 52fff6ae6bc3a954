# Two commands do all: `make book` and `make test`. Each sets up its environment by itself.
# `make help` lists the rest.

# What a person sets is text: a `$` in a folder's name is no variable of make.
SET := PROFILE PHOTOS LABELS MNIST ONLY NOTEBOOK VENV PYTHON SSGAN_PHOTOS SSGAN_MNIST
$(foreach name,$(SET),$(if $(filter undefined,$(origin $(name))),,\
	$(eval override $(name) := $$(value $(name)))))

PROFILE ?= quick
PHOTOS  ?= $(SSGAN_PHOTOS)
LABELS  ?=
MNIST   ?= $(SSGAN_MNIST)
ONLY    ?=
NOTEBOOK ?=
VENV    ?= .venv
PYTHON  ?= python3

# These change what Python and its figures do, here and in JupyterLab.
unexport MATPLOTLIBRC MPLBACKEND PYTHONHOME PYTHONPATH PYTHONSTARTUP PYTHONWARNINGS

ifeq ($(filter smoke quick full,$(PROFILE)),)
$(error PROFILE=$(PROFILE): accepted are smoke, quick, full)
endif

UV_VERSION := 0.13.9
quote       = '$(subst ','\'',$(1))'
home        = $(if $(filter ~/%,$(firstword $(1))),$(HOME)$(subst //~,,//$(1)),$(1))
absolute    = $(if $(1),$(if $(filter /% ~%,$(firstword $(1))),,$(CURDIR)/)$(1))
override VENV := $(call home,$(VENV))
BIN        := $(call quote,$(call absolute,$(VENV))/bin)
STAMP      := $(call quote,$(VENV)/.installed)

# What the environment was made from: the lock file, and this checkout (installed editable).
WANTED     := $(call quote,$(shell cat requirements.lock pyproject.toml | cksum) $(CURDIR))

.DEFAULT_GOAL := help
.PHONY: help book pages page pdf publish bundle test lab photos lock lint clean env

help:  ## show this list
	@echo "make book    run the chapters that changed and build the book: _build/html/index.html"
	@echo "make pages   build the published edition (book/published/), nothing run"
	@echo "make page    make an executed chapter a page in one file: NOTEBOOK=out.ipynb, out.html"
	@echo "make pdf     print the built book into one PDF: _build/book.pdf (needs Chromium)"
	@echo "make publish make the chapters that were run at full the published edition"
	@echo "make bundle  pack the book for a Linux machine without a network: build/bundle/"
	@echo "make test    run the tests"
	@echo "make lab     open the checkout in JupyterLab: notebooks/, and reruns beside it"
	@echo "make photos  download cats and dogs that need no account (Oxford-IIIT Pet, 800 MB)"
	@echo "make lint    check style and that the chapters' pairs agree"
	@echo "make lock    pin requirements.txt anew into requirements.lock"
	@echo "make clean   remove what the book makes (not data/, not the environment)"
	@echo
	@echo "PROFILE=smoke|quick|full  how much to compute           ["$(call quote,$(PROFILE))"]"
	@echo "PHOTOS=folder             photos of cats and dogs       ["$(call quote,$(or $(PHOTOS),drawn pets))"]"
	@echo "LABELS=file               a labeled set of the photos   ["$(call quote,$(or $(LABELS),drawn at random))"]"
	@echo "MNIST=folder              MNIST for torchvision         ["$(call quote,$(or $(MNIST),8x8 digits))"]"
	@echo "ONLY=07,08                run these chapters only       ["$(call quote,$(or $(ONLY),all))"]"
	@echo "VENV=folder               the environment               ["$(call quote,$(VENV))"]"

book: env  ## the book
	@$(BIN)/python -m book.build --profile=$(call quote,$(PROFILE)) --photos=$(call quote,$(PHOTOS)) \
		--labels=$(call quote,$(LABELS)) --mnist=$(call quote,$(MNIST)) --only=$(call quote,$(ONLY))

pages: env  ## the book, nothing run
	@$(BIN)/python -m book.build --pages-only

page: env  ## an executed chapter
	@$(BIN)/python -m book.page -- $(call quote,$(NOTEBOOK))

pdf: env  ## the built book on paper
	@$(BIN)/python -m book.pdf

publish: env  ## book/published/
	@$(BIN)/python -m book.published

bundle: env  ## source and wheels, in parts
	@$(BIN)/python -m book.bundle

test: env  ## the tests, in as many processes as there are cores
	@$(BIN)/python -m pytest -n auto --maxprocesses=8 --dist worksteal

lab: env  ## JupyterLab
	@SSGAN_PHOTOS=$(call quote,$(call absolute,$(PHOTOS))) \
		SSGAN_MNIST=$(call quote,$(call absolute,$(MNIST))) \
		$(BIN)/python -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root)

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
	@if [ "$$(cat $(STAMP) 2>/dev/null)" != $(WANTED) ]; then \
		set -e; \
		test -x $(BIN)/python || { \
			$(call quote,$(PYTHON)) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
				echo error: $(call quote,$(PYTHON)) is "$$($(call quote,$(PYTHON)) --version 2>&1);" \
					"3.11 or newer is needed (PYTHON=...)" >&2; \
				exit 1; }; \
			echo making the environment $(call quote,$(VENV)); \
			$(call quote,$(PYTHON)) -m venv $(call quote,$(VENV)); }; \
		echo installing requirements.lock into $(call quote,$(VENV)); \
		test "$$($(BIN)/uv --version 2>/dev/null | cut -d' ' -f2)" = $(UV_VERSION) || \
			$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION); \
		export VIRTUAL_ENV=$(call quote,$(call absolute,$(VENV))); \
		$(BIN)/uv pip sync $$(test -t 2 || echo -q) --require-hashes requirements.lock; \
		$(BIN)/uv pip install -q --no-deps --no-build-isolation -e .; \
		printf '%s\n' $(WANTED) > $(STAMP); \
	fi
