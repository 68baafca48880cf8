// SPDX-License-Identifier: GPL-2.0
/*
 * Contender: hashtable.h with a spinlock, as its users mostly have it: a fixed
 * number of buckets, however many keys there are, lookups under RCU, updates
 * under one lock.
 */
#include <linux/hashtable.h>
#include <linux/jhash.h>
#include <linux/mm.h>
#include <linux/spinlock.h>

#define CONTENDER hashtable
#define CONTENDER_NAME "hashtable"
#include "contender.h"

#define TABLE_BITS 17

struct object {
	struct hlist_node node;
	struct map_key key;
	void *value;
	struct rcu_head rcu;
};

struct map {
	spinlock_t lock; /* taken by whoever changes the table or a value */
	DECLARE_HASHTABLE(table, TABLE_BITS);
};

static inline u64 hash_of(const struct map_key *key)
{
	if (KEY_LEN == 8)
		return key->word[0];
	return jhash2((const u32 *)key, KEY_LEN / 4, 0);
}

static inline struct map *map_create(unsigned long n)
{
	struct map *map = kvzalloc(sizeof(*map), GFP_KERNEL);

	if (!map)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&map->lock);
	hash_init(map->table);
	return map;
}

static inline void map_lock(struct map *map)
{
	spin_lock(&map->lock);
}

static inline void map_unlock(struct map *map)
{
	spin_unlock(&map->lock);
}

/* With the lock held, or in a read-side section. */
static __always_inline struct object *find(struct map *map,
					   const struct map_key *key)
{
	struct object *object;

	hash_for_each_possible_rcu(map->table, object, node, hash_of(key),
				   lockdep_is_held(&map->lock))
		if (bench_key_equal(&object->key, key))
			return object;
	return NULL;
}

static inline void link(struct map *map, struct object *object)
{
	hash_add_rcu(map->table, &object->node, hash_of(&object->key));
}

static inline void unlink(struct map *map, struct object *object)
{
	hash_del_rcu(&object->node);
}

static inline void release(struct object *object)
{
	kfree_rcu(object, rcu);
}

#include "locked.h"

static inline bool map_lookup(struct map *map, const struct map_key *key,
			      void **value)
{
	struct object *object;

	rcu_read_lock();
	object = find(map, key);
	if (object)
		*value = READ_ONCE(object->value);
	rcu_read_unlock();
	return object;
}

static inline unsigned long map_range(struct map *map,
				      bool (*visit)(const struct map_key *key,
						    void *value, void *arg),
				      void *arg)
{
	struct object *object;
	unsigned long calls = 0;
	int bucket;

	rcu_read_lock();
	hash_for_each_rcu(map->table, bucket, object, node) {
		calls++;
		if (!visit(&object->key, READ_ONCE(object->value), arg))
			goto out;
	}
out:
	rcu_read_unlock();
	return calls;
}

static inline int map_clear(struct map *map)
{
	struct hlist_node *next;
	struct object *object;
	int bucket;

	map_lock(map);
	hash_for_each_safe(map->table, bucket, next, object, node) {
		unlink(map, object);
		release(object);
	}
	map_unlock(map);
	return 0;
}

static inline void map_destroy(struct map *map)
{
	map_clear(map);
	kvfree(map);
}

static inline void map_settle(struct map *map)
{
	rcu_barrier();
}

static inline unsigned long map_bytes(struct map *map, unsigned long n)
{
	return PAGE_ALIGN(sizeof(*map)) +
		n * kmalloc_size_roundup(sizeof(struct object));
}

#include "workloads.h"
