# A thin hand on CMake: every target also works as `cmake --workflow` would run it.
BUILD ?= build
JOBS  ?= $(shell nproc)

.PHONY: all
all:
	@cmake --preset release -B $(BUILD) >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)
