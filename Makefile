# A thin hand on CMake: each target finds what it needs, configures, builds and runs.

PRESET ?= release
JOBS   ?= $(shell nproc)
PREFIX ?= /usr/local
MAKEFLAGS += --no-print-directory

# The directory of the preset, as CMakePresets.json has it.
BUILD  := $(if $(filter release,$(PRESET)),build,build-$(PRESET))
CONFIGURE := @cmake --preset $(PRESET) >/dev/null
COMPILE := @cmake --build --preset $(PRESET) -j $(JOBS)

.PHONY: all
all: ## build everything into build/
	@tools/deps build
	$(CONFIGURE)
	$(COMPILE)

.PHONY: try
try: ## run real programs on the system's malloc and on allot's, side by side; record one, and find what another loses
	@tools/deps build try
	$(CONFIGURE)
	$(COMPILE) --target allot_malloc_shared measure allot example-sessions
	@python3 bench/try.py --build $(BUILD) $(ARGS)

.PHONY: bench
bench: ## allot beside every malloc that is installed or that PEERS=name=path.so,... names; ARGS="--quick" for a look
	@tools/deps build try bench
	$(CONFIGURE)
	$(COMPILE) --target allot_malloc_shared bench_rows >&2
	@python3 bench/bench.py --build $(BUILD) $(ARGS)

.PHONY: parts
parts: ## the parts beside bare loops and other libraries: ARGS="arena --rounds 9"; PEERS=name=tree,... for unpackaged ones
	@tools/deps build bench
	@cmake --preset $(PRESET) -DALLOT_PEERS="$(PEERS)" >/dev/null
	$(COMPILE) --target bench_parts >&2
	@python3 bench/parts.py --build $(BUILD) $(ARGS)

.PHONY: test
test: ## build and run the tests; PRESET=asan, ubsan, tsan or debug for another build
	@tools/deps build test
	$(CONFIGURE)
	$(COMPILE)
	@ctest --preset $(PRESET) -j $(JOBS)

.PHONY: soak
soak: ## the long tests: real programs' own test suites under allot
	@tools/deps build test foreign soak
	$(CONFIGURE)
	$(COMPILE)
	@ctest --preset soak

.PHONY: conformance
conformance: ## others' suites on allot and on the system's malloc: SUITES="glibc=PATH redis=PATH"; docs/conformance.md
	@tools/deps build test
	$(CONFIGURE)
	$(COMPILE)
	@tests/conformance/run.py --library $(BUILD)/lib/liballot-malloc.so $(addprefix --suite ,$(SUITES)) $(ARGS)

.PHONY: collectors
collectors: ## others' programs for collectors on allot's: SUITES="bdwgc=PATH whippet=PATH"; docs/gc.md
	@tools/deps build test bench
	$(CONFIGURE)
	$(COMPILE) --target allot_static >&2
	@tests/conformance/collectors/run.py --library $(BUILD)/lib/liballot.a $(addprefix --suite ,$(SUITES)) $(ARGS)

.PHONY: safety
safety: ## others' crimes against memory on every level and on PEERS: SUITES="mimalloc-bench=PATH hardened_malloc=PATH"; docs/safety.md
	@tools/deps build test
	$(CONFIGURE)
	$(COMPILE) --target allot_malloc_shared >&2
	@tests/safety/run.py --library $(BUILD)/lib/liballot-malloc.so $(addprefix --suite ,$(SUITES)) $(ARGS)

.PHONY: environments
environments: ## the tests in other environments: large pages, musl, arm64, limits; ARGS="--system" for those that change settings
	@tools/deps build test environments
	$(CONFIGURE)
	$(COMPILE)
	@tests/environment/run --build $(BUILD) $(ARGS)

.PHONY: install
install: all ## install below PREFIX (/usr/local), staged under DESTDIR where that is set
	@cmake --install $(BUILD) --prefix $(PREFIX) >/dev/null
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig

.PHONY: format
format: ## lay out the sources as .clang-format says
	@tools/deps format
	@git ls-files '*.c' '*.h' '*.cpp' | xargs clang-format -i

.PHONY: clean
clean: ## remove every build
	@rm -rf build build-debug build-asan build-ubsan build-tsan

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10
