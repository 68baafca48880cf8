// SPDX-License-Identifier: GPL-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
)

// A key of some length.
type key interface {
	uint64 | [16]byte | [64]byte
}

// newKey makes a key from a number: the number again and again, each time
// rotated by a byte.
func newKey[K key](number uint64) (key K) {
	repeat := func(bytes []byte) {
		for i := 0; i < len(bytes); i += 8 {
			binary.LittleEndian.PutUint64(bytes[i:], bits.RotateLeft64(number, i))
		}
	}
	switch key := any(&key).(type) {
	case *uint64:
		*key = number
	case *[16]byte:
		repeat(key[:])
	case *[64]byte:
		repeat(key[:])
	}
	return
}

// The streams of one size, as keys of one length.
type streams[K key] struct {
	present []K // those that the map holds
	absent  []K // as many others
	threads []thread[K]
}

// What one thread does, in order.
type thread[K key] struct {
	hits, misses, mixUniform, mixZipf []K
	dice                              []byte
}

func readStreams[K key](dir string, size, threads int) (*streams[K], error) {
	all, err := load(dir, fmt.Sprintf("keys-%d", size), 8, func(b []byte) K {
		return newKey[K](binary.LittleEndian.Uint64(b))
	})
	if err != nil {
		return nil, err
	}
	s := &streams[K]{present: all[:size], absent: all[size:]}
	for t := range threads {
		var one thread[K]
		for _, stream := range []struct {
			name string
			from []K
			to   *[]K
		}{
			{"uniform", s.present, &one.hits},
			{"uniform", s.absent, &one.misses},
			{"mix-uniform", all, &one.mixUniform},
			{"mix-zipf", all, &one.mixZipf},
		} {
			name := fmt.Sprintf("%s-%d-%d", stream.name, size, t)
			*stream.to, err = load(dir, name, 4, func(b []byte) K {
				return stream.from[binary.LittleEndian.Uint32(b)]
			})
			if err != nil {
				return nil, err
			}
		}
		one.dice, err = load(dir, fmt.Sprintf("dice-%d", t), 1, func(b []byte) byte {
			return b[0]
		})
		if err != nil {
			return nil, err
		}
		s.threads = append(s.threads, one)
	}
	return s, nil
}

func load[T any](dir, name string, length int, number func([]byte) T) ([]T, error) {
	bytes, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("the keys cannot be read (bench-host streams makes them): %w", err)
	}
	all := make([]T, len(bytes)/length)
	for i := range all {
		all[i] = number(bytes[i*length:])
	}
	return all, nil
}
