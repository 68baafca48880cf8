// SPDX-License-Identifier: GPL-2.0
/*
 * Contender: this map with values in counted nodes of its own, SyncMap<K, u64>.
 */
#define CONTENDER syncmap_counted
#define CONTENDER_NAME "syncmap-counted"
#include "syncmap.c"
