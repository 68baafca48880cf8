/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: what happens to the tables of a map as a whole, and so nothing on
 * the way of a lookup, or of a store to a key that exists. Each module that has the
 * library has them under its own name: /sys/kernel/tracing/events/MODULE. This file
 * has a name that no file of such a module has: it is found by -I, after theirs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM SYNCMAP_TRACE_SYSTEM

#if !defined(_SYNCMAP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _SYNCMAP_TRACE_H

#include <linux/tracepoint.h>

/* There is a dirty table from now on: for a new key, with @entries others. */
TRACE_EVENT(syncmap_dirty,
	TP_PROTO(const void *map, size_t entries, bool in_place),
	TP_ARGS(map, entries, in_place),
	TP_STRUCT__entry(
		__field(const void *, map)
		__field(size_t, entries)
		__field(bool, in_place)
	),
	TP_fast_assign(
		__entry->map = map;
		__entry->entries = entries;
		__entry->in_place = in_place;
	),
	TP_printk("map=%p entries=%zu in_place=%d", __entry->map,
		  __entry->entries, __entry->in_place)
);

/* Dirty, with @entries, has become read, after @misses. */
TRACE_EVENT(syncmap_promote,
	TP_PROTO(const void *map, size_t entries, size_t misses),
	TP_ARGS(map, entries, misses),
	TP_STRUCT__entry(
		__field(const void *, map)
		__field(size_t, entries)
		__field(size_t, misses)
	),
	TP_fast_assign(
		__entry->map = map;
		__entry->entries = entries;
		__entry->misses = misses;
	),
	TP_printk("map=%p entries=%zu misses=%zu", __entry->map,
		  __entry->entries, __entry->misses)
);

/* All keys were deleted at once; the table had @entries. */
TRACE_EVENT(syncmap_clear,
	TP_PROTO(const void *map, size_t entries),
	TP_ARGS(map, entries),
	TP_STRUCT__entry(
		__field(const void *, map)
		__field(size_t, entries)
	),
	TP_fast_assign(
		__entry->map = map;
		__entry->entries = entries;
	),
	TP_printk("map=%p entries=%zu", __entry->map, __entry->entries)
);

/* Deleted keys were taken out of the tables, @before entries and now @after. */
TRACE_EVENT(syncmap_sweep,
	TP_PROTO(const void *map, size_t before, size_t after),
	TP_ARGS(map, before, after),
	TP_STRUCT__entry(
		__field(const void *, map)
		__field(size_t, before)
		__field(size_t, after)
	),
	TP_fast_assign(
		__entry->map = map;
		__entry->before = before;
		__entry->after = after;
	),
	TP_printk("map=%p before=%zu after=%zu", __entry->map, __entry->before,
		  __entry->after)
);

/* The grace period of @bytes is over, and they were freed. */
TRACE_EVENT(syncmap_freed,
	TP_PROTO(const void *map, size_t bytes),
	TP_ARGS(map, bytes),
	TP_STRUCT__entry(
		__field(const void *, map)
		__field(size_t, bytes)
	),
	TP_fast_assign(
		__entry->map = map;
		__entry->bytes = bytes;
	),
	TP_printk("map=%p bytes=%zu", __entry->map, __entry->bytes)
);

#endif /* _SYNCMAP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE syncmap_trace
#include <trace/define_trace.h>
