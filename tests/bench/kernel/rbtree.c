// SPDX-License-Identifier: GPL-2.0
/*
 * Contender: RBTree with a mutex, which lookups take too. That is what Rust
 * code in the kernel uses as a map today.
 */
#include <linux/mutex.h>
#include <linux/rbtree.h>

#define CONTENDER rbtree
#define CONTENDER_NAME "rbtree"
#include "contender.h"

struct object {
	struct rb_node node;
	struct map_key key;
	void *value;
};

struct map {
	struct mutex lock; /* protects everything */
	struct rb_root root;
};

static inline struct map *map_create(unsigned long n)
{
	struct map *map = kzalloc(sizeof(*map), GFP_KERNEL);

	if (!map)
		return ERR_PTR(-ENOMEM);
	mutex_init(&map->lock);
	map->root = RB_ROOT;
	return map;
}

static inline void map_lock(struct map *map)
{
	mutex_lock(&map->lock);
}

static inline void map_unlock(struct map *map)
{
	mutex_unlock(&map->lock);
}

/* Any order will do. */
static __always_inline int compare(const struct map_key *a,
				   const struct map_key *b)
{
	for (unsigned int i = 0; i < KEY_LEN / 8; i++)
		if (a->word[i] != b->word[i])
			return a->word[i] < b->word[i] ? -1 : 1;
	return 0;
}

static __always_inline int compare_key(const void *key,
				       const struct rb_node *node)
{
	return compare(key, &rb_entry(node, struct object, node)->key);
}

static __always_inline bool less(struct rb_node *a, const struct rb_node *b)
{
	return compare_key(&rb_entry(a, struct object, node)->key, b) < 0;
}

static __always_inline struct object *find(struct map *map,
					   const struct map_key *key)
{
	struct rb_node *node = rb_find(key, &map->root, compare_key);

	return rb_entry_safe(node, struct object, node);
}

static inline void link(struct map *map, struct object *object)
{
	rb_add(&object->node, &map->root, less);
}

static inline void unlink(struct map *map, struct object *object)
{
	rb_erase(&object->node, &map->root);
}

static inline void release(struct object *object)
{
	kfree(object);
}

#include "locked.h"

static inline bool map_lookup(struct map *map, const struct map_key *key,
			      void **value)
{
	struct object *object;

	map_lock(map);
	object = find(map, key);
	if (object)
		*value = object->value;
	map_unlock(map);
	return object;
}

static inline unsigned long map_range(struct map *map,
				      bool (*visit)(const struct map_key *key,
						    void *value, void *arg),
				      void *arg)
{
	struct rb_node *node;
	unsigned long calls = 0;

	map_lock(map);
	for (node = rb_first(&map->root); node; node = rb_next(node)) {
		struct object *object = rb_entry(node, struct object, node);

		calls++;
		if (!visit(&object->key, object->value, arg))
			break;
	}
	map_unlock(map);
	return calls;
}

static inline int map_clear(struct map *map)
{
	struct object *object, *next;

	map_lock(map);
	rbtree_postorder_for_each_entry_safe(object, next, &map->root, node)
		release(object);
	map->root = RB_ROOT;
	map_unlock(map);
	return 0;
}

static inline void map_destroy(struct map *map)
{
	map_clear(map);
	kfree(map);
}

static inline void map_settle(struct map *map)
{
}

static inline unsigned long map_bytes(struct map *map, unsigned long n)
{
	return n * kmalloc_size_roundup(sizeof(struct object));
}

#include "workloads.h"
