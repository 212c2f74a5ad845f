# The door: build, try, test, check and install Hikyaku. "make help" lists the targets.
# Meson and ninja do the work; tools/deps.sh installs from Debian what a target lacks.

JOBS ?= $(shell nproc)
PREFIX ?= /usr
DESTDIR ?=
FUZZ_SECONDS ?= 60

SETUP = meson setup --prefix=$(PREFIX)
SANITIZE = -Db_sanitize=address,undefined -Db_lundef=false

.PHONY: all deps release sanitized demo check bench fuzz torture lint format install clean help

all: deps release  ## release build: build/hikyaku (the default)

deps:
	@tools/deps.sh build

build/build.ninja:
	$(SETUP) build -Dbuildtype=debugoptimized -Dtests=disabled

build-check/build.ninja:
	$(SETUP) build-check -Doptimization=1 -Ddebug=true -Dwerror=true -Dtests=enabled $(SANITIZE)

# The libraries need coverage too, not only the targets: hence fuzzer-no-link for everything.
build-fuzz/build.ninja:
	CC=clang $(SETUP) build-fuzz -Doptimization=1 -Ddebug=true -Dfuzz=true -Dtests=disabled \
	    -Dc_args=-fsanitize=fuzzer-no-link $(SANITIZE)

release: build/build.ninja
	@ninja -C build -j $(JOBS)

sanitized: build-check/build.ninja
	@ninja -C build-check -j $(JOBS)

# NSD from Debian, unpacked and not installed, is its DNS; without NSD the servers get fixed records.
demo: all  ## two throwaway servers on loopback, mail between them; ONCE=1 ends after one round
	@nsd=$$(tools/peer.sh nsd build/peers) || nsd=; \
	    LD_LIBRARY_PATH=$${nsd:+"$$(cat "$$nsd/libpath")"} build/hikyaku demo \
	    $(if $(ONCE),--once) $${nsd:+"--nsd=$$nsd/usr/sbin/nsd"}

check:  ## every test: unit, corpus, chat scenarios, end to end; under 15 minutes on 2 cores
	@tools/deps.sh check
	@$(MAKE) --no-print-directory release sanitized
	@test/run

bench:  ## measures speed and memory, beside other servers
	@tools/deps.sh bench
	@$(MAKE) --no-print-directory release
	@bench/run

fuzz:  ## runs each fuzz target for FUZZ_SECONDS (60)
	@tools/deps.sh fuzz
	@$(MAKE) --no-print-directory build-fuzz/build.ninja
	@ninja -C build-fuzz -j $(JOBS)
	@tools/fuzz build-fuzz $(FUZZ_SECONDS)

torture:  ## kill -9, full disks and lost writes, for as long as you like
	@tools/deps.sh check
	@$(MAKE) --no-print-directory release sanitized
	@test/torture/run

lint:  ## layout, include arrows, size, commits, scripts, manual pages, clang-tidy
	@tools/deps.sh lint
	@$(MAKE) --no-print-directory release
	@tools/lint

format:  ## lets clang-format rewrite the C files
	@tools/deps.sh lint
	@find $(wildcard src tools test bench) -name '*.[ch]' -exec clang-format -i {} +

install: all  ## binary, systemd unit, manual pages, completion; DESTDIR, PREFIX (/usr)
	@meson configure build -Dprefix=$(PREFIX)
	DESTDIR='$(DESTDIR)' meson install -C build

clean:  ## removes everything that was built or unpacked
	rm -rf build build-check build-fuzz

help:  ## this list
	@sed -n 's/^\([a-z]*\):[^#]*##  *\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18
