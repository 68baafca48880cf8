#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make help

cat <<'END'
make run            from a fresh machine to the demo: set up, build, boot a
                    stock Debian kernel under QEMU, load syncmap, run the demo
make guest          a shell on that kernel, with syncmap loaded, and with the
                    modules and programs of your folder M, which it builds
make test           KUnit on User Mode Linux, device tests under QEMU; ends
                    with "N passed, N failed"
make matrix         the device tests on each of Debian's stock kernels, 7.3 and
                    7.2; cloud, rt and amd64; and on kernels built by clang
make torture        threads, interrupts and processors that come and go against
                    one map, for TIME minutes; ends like make test
make mutants        break one rule at a time, and see that the tests notice; ends
                    with "N passed, N failed"
make bench          measure the map against its peers, in the kernel and in
                    userspace, and write docs/benchmarks.md
make check          formatting, lints, documentation, memory orderings, scripts,
                    C style
make docs           rustdoc of the library, and of the crate for programs
make tools          build syncmapctl, the program for named maps, from tools/
make                build the modules for your own kernel, KDIR
make modules_install
                    install them there (as root)
make kernel-metadata
                    for Debian's kernels: make what its headers packages lack
make dkms           have dkms build and install the module (as root)
make deb            make Debian packages; make test-packages tries them
make clean          remove what make has built in this folder
make update-kernel  look for a newer point version of the kernel of make run
make clean-cache    remove everything that make run and make test have cached
make help           this text

Variables (make VARIABLE=value ...):
KDIR            build folder of a Rust-enabled kernel
                (default: that of the running kernel)
RELEASE         the kernel of make kernel-metadata and make dkms
                (default: the running one)
M               the folder for make guest
KERNEL          7.3 or 7.2, the series to run on (default: 7.3, else 7.2)
FLAVOUR         cloud, amd64 or rt (default: cloud); or debug, a kernel that
                checks everything, slowly: make test runs all tests on it
KERNELS         series for make matrix (default: "7.3 7.2")
FLAVOURS        what make matrix runs (default: "cloud rt amd64 clang newest")
TIME            minutes that make torture takes (default: 10)
UML=kunit       run it on User Mode Linux, at native speed
TOOLCHAIN       newest: Debian's newest compilers, for a kernel of our own
TIMEOUT         seconds a guest may take
ONLY            model, tools, kunit, faults, torture, device, examples or
                instructions, the one part of the tests to run (or planted, with
                FLAVOUR=debug); instructions, kernel, host or syscall, that of
                the bench
LONG=1          more of what takes long: a million keys through syncmapctl
CPUS            threads of the bench, and processors of its kernel, a power of two
                (default: 2)
QUICK=1         a bench of under five minutes instead of 45
V=1             show everything that the tests say
NO_KVM          set it to emulate although KVM seems usable
SYNCMAP_CACHE   the cache (default: ~/.cache/syncmap, or below XDG_CACHE_HOME)
SYNCMAP_MIRROR  a Debian mirror (default: the one this machine's apt uses)
END
