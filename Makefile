# Makefile of Hallmark: `make help` lists the targets, and `make` does the same.

# The Debian packages that demo and test need. .ci/go provides Go.
PACKAGES = gcc libc6-dev make bzip2 dpkg-dev qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi \
           openocd ser2net picocom tio minicom screen softhsm2 opensc p11-kit p11-kit-modules openssl \
           swtpm tpm2-tools tpm2-abrmd libtss2-tcti-tabrmd0 libtpm2-pkcs11-1 libtpm2-pkcs11-tools dbus dbus-daemon postgresql tmux strace python3 tidy ca-certificates
FIRMWARE = devices/firmware
FUZZTIME ?= 3s
# Files whose spelling lint checks. Reference texts are not among them, because they have the spelling of the RFCs.
PROSE = '*.go' '*.c' '*.h' '*.md' '*.yaml'
export CGO_ENABLED = 1
# The Go that .ci/go fetched, if the machine had no Go that is new enough. Recipes, scripts and tests use this Go.
export PATH := $(CURDIR)/build/go/bin:$(PATH)

# The version of this tree from git. It is empty in a tarball, and in a tree that git does not trust (safe.directory).
# There Go must not call git either, because the build would fail.
DESCRIBED := $(shell test -e .git && git describe --tags --always --dirty 2>/dev/null)
VERSION ?= $(or $(DESCRIBED),unknown)
BUILDVCS := $(if $(DESCRIBED),auto,false)

PREFIX ?= /usr/local
BIN = $(DESTDIR)$(PREFIX)/bin
SHARE = $(DESTDIR)$(PREFIX)/share/hallmark
DOC = $(DESTDIR)$(PREFIX)/share/doc/hallmark
PROGRAMS = $(notdir $(wildcard station/cmd/*))
TEXTS = README.md DESIGN.md PROTOCOL.md CHANGELOG.md
DOCS = $(wildcard docs/*.md)
PICTURES = $(wildcard docs/pictures/*.svg)

.PHONY: deb deb-test help demo demo-probe test cuts scripts suite zephyr zephyr-suite bench firmware firmware-size build absolute install uninstall lint fuzz setup packages go clean
.NOTPARALLEL: # the order must be set-up, firmware, programs, tests; the recipes themselves use all cores

# Lists the targets with a line each: the first sentence of the comment above the target.
help:
	@awk '/^# / { text = text ? text " " substr($$0, 3) : substr($$0, 3); next } \
		/^[a-z][a-z-]*:/ && text { sub(/\. .*|\.$$/, "", text); printf "%-15s %s\n", substr($$1, 1, index($$1, ":") - 1), text } \
		{ text = "" }' $(firstword $(MAKEFILE_LIST))

# Makes a station in a temporary directory, enrols four QEMU boards, and has openssl verify each certificate. KEEP=DIR keeps the station.
demo: setup firmware build
	@.ci/demo build qemu:4

# Does the same as demo with four blank boards behind emulated debug probes: OpenOCD flashes each board and locks its debug port.
demo-probe: setup firmware build
	go build -trimpath -buildvcs=$(BUILDVCS) -o build/ ./fixtures/jlink/jlink-run
	@.ci/demo build probe

# The packages whose tests take longest. They begin first, so that no core waits for one of them at the end.
LONG_TESTS = ./station/cmd/station ./station/faults/... ./station/sweep

# Runs all tests. With CI=true a skipped test is a failure.
test: setup firmware build lint
	$(MAKE) --silent -j$$(nproc) -C $(FIRMWARE) test
	$(MAKE) --silent scripts
	.ci/gotest -race -timeout 25m $(LONG_TESTS) ./... ./.ci/lint
	.ci/gotest -timeout 25m ./station/sweep
	$(MAKE) fuzz

# Kills 50 batches, cuts the power of the disk under 50 more, and compares what was told with what is there. CUTS takes another number. The test
# mounts a file system, and takes the rights of root.
cuts: firmware
	go test -count=1 -timeout 60m -run '^TestWhatWasToldSurvivesKillsAndPowerCuts$$' -v ./station/cmd/station -cuts $(or $(CUTS),50)

# Tests the scripts of .ci and the recipes of this file.
scripts:
	@for script in .ci/tests/*; do $$script || exit 1; done

# Runs the conformance suite for one board: make suite BOARD=port:/dev/ttyUSB0 (devices/firmware/README.md).
suite: firmware
	@test -n '$(BOARD)' || { echo 'name a board: make suite BOARD=posix | qemu:an385 | qemu:an521 | zephyr:an521:IMAGE | port:TTY'; exit 1; }
	go test -count=1 -timeout 30m -run '^TestABoardConforms$$' ./devices/conformance/ -board '$(BOARD)' $(SUITEFLAGS)

ZEPHYR_MACHINE ?= an521

# Builds the Zephyr application for QEMU's machines, with the Zephyr that ZEPHYR_BASE names.
zephyr:
	@.ci/zephyr $(ZEPHYR_BOARDS)

# Runs the conformance suite for a Zephyr image: make zephyr-suite ZEPHYR_ELF=FILE [ZEPHYR_MACHINE=an385]. With ZEPHYR_ELF2=FILE it also updates a board from the first image to the second.
zephyr-suite:
	@test -f '$(ZEPHYR_ELF)' || { echo 'name an image: make zephyr-suite ZEPHYR_ELF=FILE; make zephyr builds them'; exit 1; }
	go test -count=1 -timeout 30m -run '^TestABoardConforms$$' ./devices/conformance/ -board 'zephyr:$(ZEPHYR_MACHINE):$(abspath $(ZEPHYR_ELF))' $(SUITEFLAGS)
	ZEPHYR_MACHINE=$(ZEPHYR_MACHINE) ZEPHYR_ELF='$(abspath $(ZEPHYR_ELF))' ZEPHYR_ELF2='$(abspath $(ZEPHYR_ELF2))' \
		go test -count=1 -tags zephyr -run '$(if $(ZEPHYR_ELF2),Zephyr,TestAZephyrBoardWithoutEntropyRefuses)' ./devices/emulated

# Measures all figures, and prints each figure with its goal.
bench: firmware build
	go run ./fixtures/benchmark -out bench.json

# Builds the firmware images of emulated boards.
firmware:
	@echo 'building the firmware'
	@$(MAKE) --silent -j$$(nproc) -C $(FIRMWARE)

# Prints the flash and RAM of each image by component; ZEPHYR_ELF=.../zephyr.elf adds a Zephyr image.
firmware-size: firmware
	@$(MAKE) --silent -C $(FIRMWARE) size ZEPHYR_ELF='$(abspath $(ZEPHYR_ELF))'

# Builds the programs into build/.
build:
	@command -v go >/dev/null || { echo 'Go is missing: make setup installs it'; exit 1; }
	go build -trimpath -buildvcs=$(BUILDVCS) -ldflags '-X hallmark/station.version=$(VERSION) -X main.version=$(VERSION)' -o build/ ./station/cmd/...

# Makes the Debian package build/hallmark_VERSION_ARCH.deb. Its programs are position independent, as Debian wants.
deb: setup
	@.ci/packages debhelper help2man
	go build -trimpath -buildmode=pie -buildvcs=$(BUILDVCS) -ldflags '-X hallmark/station.version=$(VERSION) -X main.version=$(VERSION)' -o build/deb/ ./station/cmd/...
	.ci/deb build

# Checks the Debian package, and installs, upgrades and purges it in a fresh Debian. Needs root.
deb-test: deb firmware
	.ci/deb-test

absolute: # With PREFIX=usr the directory would be DESTDIRusr, beside DESTDIR.
	@case '$(PREFIX)' in /*) ;; *) echo 'PREFIX=$(PREFIX): want a path that begins with /'; exit 1 ;; esac

# Installs the programs of the last `make build`, the documented configuration and the texts. It does not need Go, because root may have no Go.
install: absolute
	@for program in $(PROGRAMS); do test -x build/$$program || { echo "build/$$program is missing: make build comes first"; exit 1; }; done
	install -d '$(BIN)' '$(SHARE)' '$(DOC)/docs/pictures'
	install -m 755 $(PROGRAMS:%=build/%) '$(BIN)'
	install -m 644 configs/station.example.yaml configs/station.schema.json '$(SHARE)'
	install -m 644 $(TEXTS) '$(DOC)'
	install -m 644 $(DOCS) '$(DOC)/docs'
	install -m 644 $(PICTURES) '$(DOC)/docs/pictures'

# Removes the installed files.
uninstall: absolute
	rm -f $(PROGRAMS:%='$(BIN)'/%) '$(SHARE)'/station.example.yaml '$(SHARE)'/station.schema.json $(TEXTS:%='$(DOC)'/%) $(DOCS:%='$(DOC)'/%) $(PICTURES:%='$(DOC)'/%)
	for folder in '$(SHARE)' '$(DOC)/docs/pictures' '$(DOC)/docs' '$(DOC)'; do test ! -d "$$folder" || rmdir --ignore-fail-on-non-empty "$$folder"; done

# Runs gofmt, vet and the checks of names and spelling: standard terms as names (.ci/lint/rules.go), the spelling "enrolment" except where Azure's
# field and document are named, errors as gerund chains. -trimpath is the same as in build, so that the C code of SQLite is compiled only once for both.
lint:
	@files=$$(.ci/files '*.go' | xargs -0 gofmt -l) && test -z "$$files" || { echo "gofmt -w $$files"; exit 1; }
	go vet -trimpath ./... ./.ci/lint
	go run -trimpath ./.ci/lint
	@found=$$(.ci/files $(PROSE) | xargs -0 grep -HnIiE 'enroll(ment|s?\>)|onboarding' | grep -vE '"enrollments"|Individual Enrollment - Run'); test -z "$$found" || { echo "$$found"; echo 'write: enrol, enrolment'; exit 1; }
	@found=$$(.ci/files '*.go' | grep -zv '_test\.go$$' | xargs -0 grep -HnIE '"[^"]*[Ff]ailed to '); test -z "$$found" || { echo "$$found"; echo 'write errors as gerund chains: "reading x: reason"'; exit 1; }

# Runs each fuzz target of the programs and of the firmware for a few seconds. FUZZTIME=5m takes longer.
fuzz:
	.ci/fuzz $(FUZZTIME)
	@$(MAKE) --silent -C $(FIRMWARE) fuzz FUZZTIME=$(FUZZTIME)

# Installs everything that demo and test need: the Debian packages, and Go if no Go is new enough.
setup: packages go
packages:
	@.ci/packages $$(.ci/go packages) $(PACKAGES)
go:
	@.ci/go

# Removes what was built.
clean:
	rm -rf build bench.json
	$(MAKE) -C $(FIRMWARE) clean
