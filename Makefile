# Hallmark. `make demo` shows it, `make test` proves it, `make bench` measures it.

# What a machine with git, make and ca-certificates lacks, by Debian package name. Go is .ci/go's business.
PACKAGES = gcc libc6-dev make bzip2 dpkg-dev qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi \
           softhsm2 opensc p11-kit p11-kit-modules openssl tmux ca-certificates
FIRMWARE = devices/firmware
FUZZTIME ?= 3s
# Pages and sources that lint reads; reference texts may spell as RFCs do.
PROSE = '*.go' '*.c' '*.h' '*.md' '*.yaml'
export CGO_ENABLED = 1
# Where .ci/go puts the Go that go.mod asks for, on a machine without one. Recipes, scripts and tests all take it from here.
export PATH := $(CURDIR)/build/go/bin:$(PATH)

# What git calls this tree: nothing in a tarball, nor where git does not trust the tree (safe.directory). There Go must
# not ask git either, it would end in an error.
DESCRIBED := $(shell test -e .git && git describe --tags --always --dirty 2>/dev/null)
VERSION ?= $(or $(DESCRIBED),unknown)
BUILDVCS := $(if $(DESCRIBED),auto,false)

PREFIX ?= /usr/local
BIN = $(DESTDIR)$(PREFIX)/bin
SHARE = $(DESTDIR)$(PREFIX)/share/hallmark
DOC = $(DESTDIR)$(PREFIX)/share/doc/hallmark
PROGRAMS = $(notdir $(wildcard station/cmd/*))
TEXTS = README.md DESIGN.md PROTOCOL.md CHANGELOG.md

.PHONY: demo test scripts suite zephyr zephyr-suite bench firmware firmware-size build install uninstall lint fuzz setup packages go clean
.NOTPARALLEL: # set-up, firmware, programs, tests, in this order; the recipes use all cores themselves

# A station in a temporary directory, four QEMU boards, each certificate checked by openssl. KEEP=DIR keeps the station.
demo: setup firmware build
	@.ci/demo build qemu:4

# Everything that can be proven on this machine. With CI=true a skipped test is a failure.
test: setup firmware build lint
	$(MAKE) --silent -j$$(nproc) -C $(FIRMWARE) test
	$(MAKE) --silent scripts
	.ci/gotest -race -timeout 15m ./... ./.ci/lint
	$(MAKE) fuzz

# The scripts of .ci and the recipes of this file.
scripts:
	@for script in .ci/tests/*; do $$script || exit 1; done

# What any board must pass, on one board: make suite BOARD=port:/dev/ttyUSB0 (devices/firmware/README.md).
suite: firmware
	@test -n '$(BOARD)' || { echo 'name a board: make suite BOARD=posix | qemu:an385 | qemu:an521 | zephyr:an521:IMAGE | port:TTY'; exit 1; }
	go test -count=1 -timeout 30m -run '^TestABoardConforms$$' ./devices/conformance/ -board '$(BOARD)' $(SUITEFLAGS)

# The Zephyr application for QEMU's machines, with the Zephyr that ZEPHYR_BASE names.
ZEPHYR_BOARDS ?= mps2_an521 mps2_an385
zephyr:
	@.ci/zephyr $(ZEPHYR_BOARDS)

# The suite on a Zephyr image: make zephyr-suite ZEPHYR_ELF=FILE [ZEPHYR_MACHINE=an385].
ZEPHYR_MACHINE ?= an521
zephyr-suite:
	@test -f '$(ZEPHYR_ELF)' || { echo 'name an image: make zephyr-suite ZEPHYR_ELF=FILE; make zephyr builds them'; exit 1; }
	go test -count=1 -timeout 30m -run '^TestABoardConforms$$' ./devices/conformance/ -board 'zephyr:$(ZEPHYR_MACHINE):$(abspath $(ZEPHYR_ELF))' $(SUITEFLAGS)

# Every figure beside its goal.
bench: firmware build
	go run ./fixtures/benchmark -out bench.json

firmware:
	@echo 'building the firmware'
	@$(MAKE) --silent -j$$(nproc) -C $(FIRMWARE)

# Flash and RAM of each image, and whose they are; ZEPHYR_ELF=.../zephyr.elf adds one.
firmware-size: firmware
	@$(MAKE) --silent -C $(FIRMWARE) size ZEPHYR_ELF='$(abspath $(ZEPHYR_ELF))'

build:
	@command -v go >/dev/null || { echo 'Go is missing: make setup installs it'; exit 1; }
	go build -trimpath -buildvcs=$(BUILDVCS) -ldflags '-X hallmark/station.version=$(VERSION)' -o build/ ./station/cmd/...

# The programs of the last `make build`, the documented configuration and the texts. Needs no Go, so root needs none.
install:
	@for program in $(PROGRAMS); do test -x build/$$program || { echo "build/$$program is missing: make build comes first"; exit 1; }; done
	install -d '$(BIN)' '$(SHARE)' '$(DOC)'
	install -m 755 $(PROGRAMS:%=build/%) '$(BIN)'
	install -m 644 configs/station.example.yaml '$(SHARE)'
	install -m 644 $(TEXTS) '$(DOC)'

uninstall:
	rm -f $(PROGRAMS:%='$(BIN)'/%) '$(SHARE)'/station.example.yaml $(TEXTS:%='$(DOC)'/%)
	for folder in '$(SHARE)' '$(DOC)'; do test ! -d "$$folder" || rmdir --ignore-fail-on-non-empty "$$folder"; done

# gofmt, vet, and the project's words: the field's terms as names (.ci/lint/rules.go), enrolment, errors as gerund chains.
# -trimpath as in build: the C of SQLite is compiled once for both.
lint:
	@files=$$(.ci/files '*.go' | xargs -0 gofmt -l) && test -z "$$files" || { echo "gofmt -w $$files"; exit 1; }
	go vet -trimpath ./... ./.ci/lint
	go run -trimpath ./.ci/lint
	@found=$$(.ci/files $(PROSE) | xargs -0 grep -HnIiE 'enroll(ment|s?\>)|onboarding'); test -z "$$found" || { echo "$$found"; echo 'write: enrol, enrolment'; exit 1; }
	@found=$$(.ci/files '*.go' | grep -zv '_test\.go$$' | xargs -0 grep -HnIE '"[^"]*[Ff]ailed to '); test -z "$$found" || { echo "$$found"; echo 'write errors as gerund chains: "reading x: reason"'; exit 1; }

# Each law (fuzz target) for a few seconds.
fuzz:
	.ci/fuzz $(FUZZTIME)

# All that demo and test need: Debian packages, and the Go of go.mod where there is none as new.
setup: packages go
packages:
	@.ci/packages $$(.ci/go packages) $(PACKAGES)
go:
	@.ci/go

clean:
	rm -rf build bench.json
	$(MAKE) -C $(FIRMWARE) clean
