#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make help

cat <<'END'
make run            from a fresh machine to the demo: set up, build, boot a
                    stock Debian kernel under QEMU, load syncmap, run the demo
make guest          a shell on that kernel, with syncmap loaded, and with the
                    modules and programs of your folder M, which it builds
make test           what needs no kernel of our own: the model, kselftest, the
                    samples and tools; ends with "N passed, N failed"
make test-all       that and the rest: KUnit, failures and torture on a debug
                    kernel, the packages on a clean machine
make kselftest      tests/kselftest as the kernel's own machinery runs it; with
                    TREE=FOLDER put it into that kernel tree instead
make tree           put syncmap into the source tree of a kernel, KDIR: Kconfig,
                    library, KUnit suites, selftests, documentation
make matrix         kselftest, modules and tools on each of Debian's stock
                    kernels, and with KUnit on kernels built by clang
make torture        threads, interrupts and processors that come and go against
                    one map, for TIME minutes; ends like make test
make mutants        break one rule at a time, and see that the tests notice;
                    ends like make test
make bench          measure the map against its peers, in the kernel and in
                    userspace, and write docs/benchmarks.md
make check          formatting, lints, documentation, memory orderings, scripts,
                    C style
make docs           rustdoc of the library, and of the crate for programs
make tools          build syncmapctl, the program for named maps, from tools/
make                build the modules for your own kernel, KDIR
make modules_install
                    install them there (as root)
make syncmapctl     build syncmapctl with cargo alone, for make install
make install        install syncmapctl, headers, library and manuals below
                    DESTDIR and PREFIX (/usr/local); takes cargo, if make
                    syncmapctl has not built it
make uninstall      remove them from there
make kernel-metadata
                    for Debian's kernels: make what its headers packages lack
make dkms           have dkms build and install the module (as root)
make deb            make Debian packages
make test-packages  try them on a clean machine (as root)
make dist           make syncmap-VERSION.tar.xz of the last commit
make clean          remove what make has built in this folder
make update-kernel  look for a newer kernel for make run
make clean-cache    remove everything that these verbs have cached
make help           this text

What they take on two cores: the first time, each after the one above, and
again; what that downloads; what is in the cache then, and where the logs are:

                first    again  download   cache  logs
run             4 min     25 s    600 MB  5.0 GB  *.log, work-*/run/*.log
guest           1 min     15 s         -  5.0 GB  work-*/guest/*.log
test            7 min    4 min    100 MB  5.3 GB  work-*/*/output.log
kselftest       3 min    3 min         -  5.3 GB  work-*/kselftest/*.log
test-all       60 min   45 min    300 MB  9.0 GB  work-*/*/output.log
test-packages  15 min   15 min     50 MB  9.0 GB  work-*/packages/*.log
check           8 min    4 min     10 MB  9.2 GB  work-*/check.log
torture        11 min   11 min         -  9.2 GB  work-*/torture*/*.log
mutants          4 h      4 h          -   10 GB  work-*/mutants/
bench          60 min   45 min    200 MB   11 GB  bench.log
matrix          2 h    100 min    900 MB   20 GB  work-*/matrix/*.log
docs, tools     1 min     10 s         -  5.3 GB  work-*/tools/*.log
deb, dist, tree, syncmapctl: less than a minute

Variables (make VARIABLE=value ...):
KDIR            build folder of a Rust-enabled kernel
                (default: that of the running kernel); for make tree, a source
                tree (no default)
RELEASE         the kernel of make kernel-metadata and make dkms
                (default: the running one)
M               the folder for make guest
ARCH            arm64 or x86_64, the kernel's architecture (default: that of
                this machine; another is cross-compiled and emulated)
KERNEL          the series to run on, from 7.2 on (default: the newest that
                Debian lists, and that syncmap builds for)
FLAVOUR         cloud, rt, or amd64 (or arm64, arm64-16k) (default: cloud); or
                debug, a kernel that checks everything, slowly
KERNELS         series for make matrix (default: those that Debian lists)
FLAVOURS        what make matrix runs (default: all)
TIME            minutes that make torture takes (default: 10)
UML=kunit       run it on User Mode Linux, at native speed
TOOLCHAIN       newest: the kernel and the compilers of Debian's testing suite,
                or with UML=kunit a kernel of our own by these compilers
TIMEOUT         seconds a guest may take
ONLY            the one part of the tests to run, or some: model, tools, kunit,
                faults, torture, kselftest, modules, examples, instructions,
                verbs, tree, packages (planted, with FLAVOUR=debug); or, of the
                bench, instructions, kernel, host or syscall
LONG=1          more of what takes long: a million keys through syncmapctl
CPUS            threads of the bench, and processors of its kernel, a power of
                two (default: 2)
QUICK=1         a bench of under five minutes instead of 45
V=1             show everything that the tests say
NO_KVM          set it to emulate although KVM seems usable
SYNCMAP_CACHE   the cache (default: ~/.cache/syncmap, or below XDG_CACHE_HOME)
SYNCMAP_MIRROR  a Debian mirror (default: the one this machine's apt uses)
SYNCMAPCTL      the command that make install is to install, built already
END
