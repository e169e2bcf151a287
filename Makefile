# SPDX-License-Identifier: GPL-2.0
#
# Everything is reached from here; scripts/ does the work. `make help` is the list.

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help

# What a user may set, on the command line or in the environment.
export KERNEL_SRC QEMU_SRC IMS_CACHE MACHINE ONLY JOBS TREE SIGNOFF V FORCE ROUNDS CPUS
export CASE KERNEL SUITE PLATFORM

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
	@sed -n 's/^#= /  /p' Makefile

deps: ## install what is missing (as root), or print the line that does
	@scripts/deps

tree: deps ## build/linux: a git tree of the base and one commit per step
	@scripts/ims tree

export: deps ## write patches/ and linux/ from build/linux (or TREE=)
	@scripts/ims export

fixup: deps ## fold what is changed in build/linux into the steps that own the lines
	@scripts/ims fixup

mail: deps ## a part as mails in build/mail (PART=ims SIGNOFF="Name <addr>" V=2 SINCE=TAG)
	@scripts/ims mail

kernel: deps ## the lean kernel of build/linux, or of the exported series without it
	@scripts/ims kernel

qemu: deps ## QEMU with the virtual device
	@scripts/ims qemu

boot: deps ## boot it and show IMS at work (MACHINE=, see configs/machines.toml)
	@scripts/ims boot

kunit: deps ## the KUnit tests of build/linux (SUITE=glob, PLATFORM=um|x86_64)
	@scripts/ims kunit

stress: deps ## only the stress test (ROUNDS=N, CPUS=N, MACHINE=)
	@scripts/ims stress

bench: ## figures beside those of 6.1 and 6.12, in build/bench (ONLY=short, or names; MACHINE=arm-its)
	@scripts/deps bench
	@scripts/ims bench

bench-record: deps ## record what `make check` compares the figures with
	@scripts/ims bench-record

profile: deps ## instructions by function (CASE=figure[,figure] KERNEL=series|base|6.12)
	@scripts/ims profile

quick: deps ## KUnit, one boot of the selftests, and what the changed files need
	@scripts/ims quick

check: deps ## what decides whether a change may land (ONLY="words and not others")
	@scripts/ims check

check-all: deps ## every test; one that has passed with these files is not run again
	@scripts/ims check-all

record-steps: deps ## build and boot every step, and record that for `make check`
	@scripts/ims record-steps

images: deps ## build/images: boots kernels and tests on other machines
	@scripts/ims images

paths: ## NAME=path of what is built for MACHINE
	@scripts/ims paths

clean: ## remove build/, not the cache (FORCE=1 throws work away)
	@scripts/ims clean

.PHONY: help deps tree export fixup mail kernel qemu boot kunit \
	stress bench bench-record profile quick check check-all record-steps images paths clean

#= 
#= kernel and boot take build/linux as it stands, if it is there, and else the
#= exported series. KERNEL_SRC=, QEMU_SRC= name sources to use instead of Debian's
#= packages, IMS_CACHE= the place of downloads and builds, JOBS= how many at once.
