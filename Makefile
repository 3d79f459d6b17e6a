# The few words that one needs; everything else is CMake (see CMakePresets.json).
.DEFAULT_GOAL := help
.PHONY: help deps deps-bench build test quickstart fuzz faults format check-format tidy bench install

JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
BIN := build/release/bin
SOURCES = $(shell git ls-files --cached --others --exclude-standard '*.hpp' '*.cpp' '*.cu' '*.cuh')

# Debian 12 packages: to build, to test (with a Slurm and an sshd of the tests' own), and the quickstart's
# text (fortunes-min, fortunes).
PACKAGES := build-essential cmake ninja-build ccache pkg-config git ca-certificates \
  libboost1.81-dev libboost-json1.81-dev libyaml-cpp-dev libfmt-dev libcli11-dev \
  libhdf5-dev libucx-dev libopenblas-dev libxxhash-dev libssl-dev \
  slurm-wlm munge openssh-server openssh-client \
  doctest-dev libbenchmark-dev hdf5-tools python3-h5py python3-jsonschema python3-yaml \
  clang-format clang-tidy clang-14 libclang-rt-14-dev \
  fortunes fortunes-min

help:  ## Show these words
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

deps:  ## Install what is missing (Debian packages, by apt; needs root only then)
	@missing=$$(for p in $(PACKAGES); do \
	    dpkg-query -W -f='$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || echo $$p; \
	  done); \
	if [ -n "$$missing" ]; then \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  echo "installing:" $$missing; \
	  $$sudo apt-get update -qq && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	fi

deps-bench: PACKAGES += openmpi-bin libopenmpi-dev
deps-bench: deps  ## The same, with what some benchmarks measure against (Open MPI)

build: deps  ## Build everything, optimised, into build/release
	@[ -f build/release/build.ninja ] || cmake --preset release
	@cmake --build --preset release --parallel $(JOBS)

test: build  ## Build, then run all tests
	@ctest --preset release --parallel $(JOBS)

quickstart: build  ## Build, then train a small model on English text and let it write
	@$(BIN)/fulgur train recipes/quickstart.yaml

fuzz: deps  ## Look for recipes that break the loader, for a minute (SECONDS=600: for ten)
	@tests/fuzz/run.sh $(or $(SECONDS),60)

faults: build  ## The faults that take longer than tests may: 10 000 damaged checkpoints
	@FULGUR_MUTATIONS=10000 $(BIN)/fulgur_checkpoint_tests -ts=runtime/checkpoint/damage,runtime/checkpoint/crash

format:  ## Format all C++ files
	@clang-format -i $(SOURCES)

check-format:  ## Fail if a C++ file is not formatted
	@clang-format --dry-run --Werror $(SOURCES)

tidy:  ## Run clang-tidy on all C++ files
	@cmake --preset tidy >/dev/null
	@run-clang-tidy -quiet -j $(JOBS) -p build/tidy '/(kernels|recipes|runtime|cluster|worker|orchestrator|tests)/.*\.cpp$$'

bench: build  ## Measure kernels and training steps; JSON goes to build/bench
	@cmake --build --preset release --parallel $(JOBS) --target benchmarks
	@mkdir -p build/bench
	@set -e; export OPENBLAS_NUM_THREADS=1; for program in $(BIN)/*_bench; do \
	  $$program --benchmark_out=build/bench/$$(basename $$program).json --benchmark_out_format=json; \
	done

install: build  ## Install the two programs and the recipes below PREFIX (default /usr/local)
	@cmake --install build/release --prefix $(PREFIX)
