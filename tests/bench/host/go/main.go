// SPDX-License-Identifier: GPL-2.0

// Bench measures Go's sync.Map with the workloads that syncmap is measured with
// in the kernel: one JSON line per result.  Which sync.Map that is, the classic
// one or the HashTrieMap, GOEXPERIMENT decides when this is built.
//
// The keys come from files, see src/streams.rs beside this folder.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// What to measure, from the command line.
type options struct {
	streams   string
	sizes     numbers
	keys      numbers
	threads   numbers
	workloads names
	ops       int
	samples   int
	round     int
}

// Numbers separated by commas.
type numbers []int

func (n *numbers) String() string { return fmt.Sprint(*n) }

func (n *numbers) Set(text string) error {
	*n = nil
	for _, part := range strings.Split(text, ",") {
		number, err := strconv.Atoi(part)
		if err != nil || number < 1 || number&(number-1) != 0 {
			return fmt.Errorf("%q is not a power of two", part)
		}
		*n = append(*n, number)
	}
	return nil
}

// Names separated by commas.
type names []string

func (n *names) String() string { return strings.Join(*n, ",") }

func (n *names) Set(text string) error {
	*n = strings.Split(text, ",")
	return nil
}

func main() {
	opts := options{
		sizes:   numbers{1024, 65536, 1048576},
		keys:    numbers{8},
		threads: numbers{1, 2},
	}
	flag.StringVar(&opts.streams, "streams", "", "folder of the streams of keys")
	flag.Var(&opts.sizes, "sizes", "numbers of keys in the map")
	flag.Var(&opts.keys, "keys", "lengths of the keys in bytes: 8, 16 or 64")
	flag.Var(&opts.threads, "threads", "numbers of threads")
	flag.Var(&opts.workloads, "workloads", "workloads, by name")
	flag.IntVar(&opts.ops, "ops", 1<<20,
		"operations per thread when throughput is measured")
	flag.IntVar(&opts.samples, "samples", 100_000,
		"operations per thread when latency is measured; 0 for not at all")
	flag.IntVar(&opts.round, "round", 1, "number of the round")
	flag.Parse()
	if err := run(&opts); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", contender, err)
		os.Exit(1)
	}
}

func run(opts *options) error {
	for _, size := range opts.sizes {
		for _, key := range opts.keys {
			var err error
			switch key {
			case 8:
				err = measure[uint64](opts, size)
			case 16:
				err = measure[[16]byte](opts, size)
			case 64:
				err = measure[[64]byte](opts, size)
			default:
				err = fmt.Errorf("there are no keys of %d bytes; choose 8, 16 or 64", key)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
