// SPDX-License-Identifier: GPL-2.0

package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// Percentages of lookups, insertions and removals; the rest are updates, which
// are the same as insertions: the key may be there or not.
var mixes = map[string][3]byte{
	"read-heavy": {98, 1, 1},
	"exchange":   {10, 40, 40},
	"rapid-grow": {5, 80, 5},
}

// One size with one length of keys.
type bench[K key] struct {
	*options
	size    int
	streams *streams[K]
	values  []uint64  // what the values in the map point to
	shared  *sync.Map // for the workloads that leave its keys as they were
}

// Steps does the operations first to last of a thread, and counts successes.
type steps func(thread, first, last int) int

func measure[K key](opts *options, size int) error {
	threads := 1
	for _, count := range opts.threads {
		threads = max(threads, count)
	}
	streams, err := readStreams[K](opts.streams, size, threads)
	if err != nil {
		return err
	}
	b := bench[K]{options: opts, size: size, streams: streams}
	b.values = make([]uint64, size)
	for i := range b.values {
		b.values[i] = uint64(i)
	}
	if b.shared, err = b.filled(size); err != nil {
		return err
	}
	for _, workload := range opts.workloads {
		if workload == "memory" {
			if err := b.memory(); err != nil {
				return err
			}
			continue
		}
		for _, threads := range opts.threads {
			if err := b.one(workload, threads); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench[K]) line(workload string, threads int) *line {
	var zero K
	return &line{Where: "host", Contender: contender, Workload: workload,
		Size: b.size, Key: int(unsafe.Sizeof(zero)), Threads: threads,
		Round: b.round}
}

// filled makes a map with the first count keys, checks it, and leaves it as it
// is after a time of lookups: with its keys where they are found without a lock.
func (b *bench[K]) filled(count int) (*sync.Map, error) {
	m := new(sync.Map)
	for i, key := range b.streams.present[:count] {
		if _, loaded := m.LoadOrStore(key, &b.values[i]); loaded {
			return nil, errors.New("a new key was there")
		}
	}
	if got := length(m); got != count {
		return nil, wrong("a new map", got, count)
	}
	for i, key := range b.streams.present[:count] {
		if value, ok := m.Load(key); !ok || value.(*uint64) != &b.values[i] {
			return nil, errors.New("a lookup gave the wrong value")
		}
	}
	return m, nil
}

func length(m *sync.Map) (count int) {
	m.Range(func(any, any) bool {
		count++
		return true
	})
	return
}

func (b *bench[K]) one(workload string, threads int) error {
	m, values := b.shared, b.values
	switch workload {
	case "lookup-hit":
		return b.timed(workload, threads, 1, func(thread, first, last int) int {
			return lookups(m, b.streams.threads[thread].hits, first, last)
		})
	case "lookup-miss":
		return b.timed(workload, threads, 0, func(thread, first, last int) int {
			return lookups(m, b.streams.threads[thread].misses, first, last)
		})
	case "overwrite":
		return b.timed(workload, threads, 1, func(thread, first, last int) (done int) {
			keys := b.streams.threads[thread].hits
			for i := first; i < last; i++ {
				_, loaded := m.Swap(around(keys, i), &values[i&(len(values)-1)])
				if loaded {
					done++
				}
			}
			return
		})
	case "churn":
		share := len(b.streams.absent) / threads
		return b.timed(workload, threads, 1, func(thread, first, last int) (done int) {
			keys := b.streams.absent[share*thread : share*(thread+1)]
			for i := first; i < last; i++ {
				key := around(keys, i/2)
				if i%2 == 0 {
					_, loaded := m.LoadOrStore(key, &values[i&(len(values)-1)])
					if !loaded {
						done++
					}
				} else if _, loaded := m.LoadAndDelete(key); loaded {
					done++
				}
			}
			return
		})
	case "insert":
		return b.insert(threads)
	}
	return b.mix(workload, threads)
}

func lookups[K key](m *sync.Map, keys []K, first, last int) (done int) {
	for i := first; i < last; i++ {
		if _, ok := m.Load(around(keys, i)); ok {
			done++
		}
	}
	return
}

// timed measures the throughput, then the latency, of steps that all succeed
// (1) or all fail (0).
func (b *bench[K]) timed(workload string, threads, success int, run steps) error {
	check := func(got, ops int) error {
		if got != ops*threads*success {
			return wrong(workload, got, ops*threads*success)
		}
		return nil
	}
	warm := b.ops / 8
	_, done := together(threads, func(thread int) int { return run(thread, 0, warm) })
	if err := check(done, warm); err != nil {
		return err
	}
	l := b.line(workload, threads)
	wall, done := together(threads, func(thread int) int { return run(thread, 0, b.ops) })
	if err := check(done, b.ops); err != nil {
		return err
	}
	l.throughput(wall, b.ops)
	done = b.sampled(l, 0, b.samples, run)
	if err := check(done, b.samples); err != nil {
		return err
	}
	return l.print()
}

// sampled measures the latency of steps, and returns how many succeeded.
func (b *bench[K]) sampled(l *line, first, count int, run steps) int {
	samples := make([]uint32, count*l.Threads)
	_, sum := together(l.Threads, func(thread int) (done int) {
		into := samples[count*thread : count*(thread+1)]
		latencies(into, func(i int) { done += run(thread, first+i, first+i+1) })
		return
	})
	l.latency(samples)
	return sum
}

// insert puts new keys into a map that has half of them; as many maps as needed.
func (b *bench[K]) insert(threads int) error {
	half := b.size / 2
	share := half / threads
	maps := min(max(b.ops/half, 1), 64)
	var wall time.Duration
	var samples []uint32
	for i := range 2 * maps {
		measureLatency := i >= maps
		if measureLatency && len(samples) >= b.samples {
			break
		}
		m, err := b.filled(half)
		if err != nil {
			return err
		}
		var times []uint32
		if measureLatency {
			times = make([]uint32, share*threads)
		}
		took, done := together(threads, func(thread int) (done int) {
			from := half + share*thread
			keys := b.streams.present[from : from+share]
			step := func(i int) {
				if _, loaded := m.LoadOrStore(keys[i], &b.values[from+i]); !loaded {
					done++
				}
			}
			if measureLatency {
				latencies(times[share*thread:share*(thread+1)], step)
				return
			}
			for i := range keys {
				step(i)
			}
			return
		})
		if done != share*threads || length(m) != b.size {
			return wrong("insert", length(m), b.size)
		}
		if measureLatency {
			samples = append(samples, times...)
		} else {
			wall += took
		}
	}
	l := b.line("insert", threads)
	l.throughput(wall, maps*share)
	l.latency(samples)
	return l.print()
}

// mix is lookups, insertions, removals and updates of the keys of both halves.
func (b *bench[K]) mix(workload string, threads int) error {
	cut := strings.LastIndexByte(workload, '-')
	shares, known := mixes[workload[:max(cut, 0)]]
	order := workload[cut+1:]
	if !known || order != "uniform" && order != "zipf" {
		return fmt.Errorf("there is no workload %q here", workload)
	}
	m, err := b.filled(b.size)
	if err != nil {
		return err
	}
	loads := shares[0]
	insertions := loads + shares[1]
	removals := insertions + shares[2]
	// How many more keys there are afterwards.
	run := func(thread, first, last int) (grown int) {
		t := &b.streams.threads[thread]
		keys := t.mixUniform
		if order == "zipf" {
			keys = t.mixZipf
		}
		for i := first; i < last; i++ {
			key, side := around(keys, i), t.dice[i%len(t.dice)]
			value := &b.values[i&(len(b.values)-1)]
			switch {
			case side < loads:
				m.Load(key)
			case insertions <= side && side < removals:
				if _, loaded := m.LoadAndDelete(key); loaded {
					grown--
				}
			default:
				if _, loaded := m.Swap(key, value); !loaded {
					grown++
				}
			}
		}
		return
	}
	// These take some maps a hundred times as long as others.
	ops, samples := b.ops/4, b.samples/4
	l := b.line(workload, threads)
	wall, grown := together(threads, func(thread int) int { return run(thread, 0, ops) })
	l.throughput(wall, ops)
	grown += b.sampled(l, ops, samples, run)
	if got := length(m); got != b.size+grown {
		return wrong(workload, got, b.size+grown)
	}
	return l.print()
}

// memory is bytes per key: of a full map, after deleting nine tenths (per key
// left), and after Clear (per key there was).
func (b *bench[K]) memory() error {
	before := used()
	m, err := b.filled(b.size)
	if err != nil {
		return err
	}
	print := func(workload string, keys int) error {
		l := b.line(workload, 1)
		// The runtime itself may have freed something of its own meanwhile.
		bytes := max(0, float64(used())-float64(before)) / float64(keys)
		l.Bytes = &bytes
		return l.print()
	}
	if err := print("memory", b.size); err != nil {
		return err
	}
	left := b.size / 10
	for _, key := range b.streams.present[left:] {
		m.Delete(key)
	}
	if err := print("memory-tenth", left); err != nil {
		return err
	}
	m.Clear()
	if err := print("memory-cleared", b.size); err != nil {
		return err
	}
	runtime.KeepAlive(m)
	return nil
}

// around is the key at a place that may be beyond the end: there it goes round.
func around[K key](keys []K, place int) K {
	return keys[place&(len(keys)-1)]
}
