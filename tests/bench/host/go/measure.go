// SPDX-License-Identifier: GPL-2.0

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

// One result, as it is printed.
type line struct {
	Where     string   `json:"where"`
	Contender string   `json:"contender"`
	Workload  string   `json:"workload"`
	Size      int      `json:"size"`
	Key       int      `json:"key"`
	Threads   int      `json:"threads"`
	Round     int      `json:"round"`
	Ops       int      `json:"ops,omitempty"`
	Ns        float64  `json:"ns,omitempty"`
	P50       uint32   `json:"p50,omitempty"`
	P99       uint32   `json:"p99,omitempty"`
	P999      uint32   `json:"p999,omitempty"`
	Max       uint32   `json:"max,omitempty"`
	Bytes     *float64 `json:"bytes,omitempty"`
}

func (l *line) print() error {
	return json.NewEncoder(os.Stdout).Encode(l)
}

func (l *line) throughput(wall time.Duration, ops int) {
	l.Ops = ops * l.Threads
	// Thousandths are enough.
	l.Ns = math.Round(float64(wall.Nanoseconds())*1e3/float64(ops)) / 1e3
}

func (l *line) latency(samples []uint32) {
	if len(samples) == 0 {
		return
	}
	slices.Sort(samples)
	at := func(quantile float64) uint32 {
		return samples[int(quantile*float64(len(samples)-1))]
	}
	l.P50, l.P99, l.P999, l.Max = at(0.5), at(0.99), at(0.999), at(1)
}

// together runs work with the number of each thread, all starting at the same
// time, on as many processors; returns the time from the first start to the
// last end, and the sum of what they return.
func together(threads int, work func(thread int) int) (time.Duration, int) {
	runtime.GC()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	type done struct {
		start, end time.Time
		result     int
	}
	var ready atomic.Int32
	results := make(chan done, threads)
	for thread := range threads {
		go func() {
			runtime.LockOSThread()
			ready.Add(1)
			for int(ready.Load()) < threads {
				runtime.Gosched()
			}
			start := time.Now()
			result := work(thread)
			results <- done{start, time.Now(), result}
		}()
	}
	all := <-results
	for range threads - 1 {
		other := <-results
		if other.start.Before(all.start) {
			all.start = other.start
		}
		if other.end.After(all.end) {
			all.end = other.end
		}
		all.result += other.result
	}
	return all.end.Sub(all.start), all.result
}

// latencies times each step by itself, the clock included.
func latencies(into []uint32, step func(i int)) {
	for i := range into {
		start := time.Now()
		step(i)
		into[i] = uint32(min(time.Since(start), math.MaxUint32))
	}
}

// used is how many bytes are allocated, after collecting the garbage: twice,
// since what a sync.Pool has dropped is gone only after the second time.
func used() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func wrong(what string, got, want int) error {
	return fmt.Errorf("%s counted %d and should have counted %d", what, got, want)
}
