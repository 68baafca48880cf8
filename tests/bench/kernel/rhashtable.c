// SPDX-License-Identifier: GPL-2.0
/*
 * Contender: rhashtable, as its users in the kernel have it: objects of their
 * own with key and value, the default parameters and hash, shrinking on. An
 * object's value never changes: another value is another object, which takes
 * its place, so that readers see one or the other.
 */
#include <linux/rhashtable.h>

#define CONTENDER rhashtable
#define CONTENDER_NAME "rhashtable"
#include "contender.h"

struct object {
	struct rhash_head node;
	struct map_key key;
	void *value;
	struct rcu_head rcu;
};

struct map {
	struct rhashtable table;
};

static const struct rhashtable_params params = {
	.key_len = sizeof(struct map_key),
	.key_offset = offsetof(struct object, key),
	.head_offset = offsetof(struct object, node),
	.automatic_shrinking = true,
};

static inline struct map *map_create(unsigned long n)
{
	struct map *map = kzalloc(sizeof(*map), GFP_KERNEL);
	int err;

	if (!map)
		return ERR_PTR(-ENOMEM);
	err = rhashtable_init(&map->table, &params);
	if (err) {
		kfree(map);
		return ERR_PTR(err);
	}
	return map;
}

static void free_object(void *object, void *arg)
{
	kfree(object);
}

static inline void map_destroy(struct map *map)
{
	rhashtable_free_and_destroy(&map->table, free_object, NULL);
	kfree(map);
}

static __always_inline struct object *find(struct map *map,
					   const struct map_key *key)
{
	return rhashtable_lookup(&map->table, key, params);
}

static inline bool map_lookup(struct map *map, const struct map_key *key,
			      void **value)
{
	struct object *object;

	rcu_read_lock();
	object = find(map, key);
	if (object)
		*value = object->value;
	rcu_read_unlock();
	return object;
}

static inline struct object *new_object(const struct map_key *key, void *value)
{
	struct object *object = kmalloc(sizeof(*object), GFP_KERNEL);

	if (object) {
		object->key = *key;
		object->value = value;
	}
	return object;
}

/*
 * Puts @new in unless the key is there. Returns the object that is there, or
 * NULL, or an error; while a table grows, rhashtable may refuse for a moment.
 */
static inline struct object *get_or_insert(struct map *map, struct object *new)
{
	for (;;) {
		struct object *found;

		found = rhashtable_lookup_get_insert_fast(&map->table,
							  &new->node, params);
		if (found != ERR_PTR(-EBUSY))
			return found;
		cond_resched();
	}
}

/*
 * The old object is in *@old, if there was one; it stays valid until the
 * caller gives it to kfree_rcu().
 */
static inline int put(struct map *map, const struct map_key *key, void *value,
		      struct object **old, bool create)
{
	struct object *new = new_object(key, value), *found;
	int err;

	*old = NULL;
	if (!new)
		return -ENOMEM;
	for (;;) {
		rcu_read_lock();
		found = find(map, key);
		if (found) {
			err = rhashtable_replace_fast(&map->table, &found->node,
						      &new->node, params);
			rcu_read_unlock();
			if (err) /* somebody else was faster */
				continue;
			*old = found;
			return 1;
		}
		rcu_read_unlock();
		if (!create) {
			kfree(new);
			return -ENOENT;
		}
		found = get_or_insert(map, new);
		if (!found)
			return 0;
		if (IS_ERR(found)) {
			kfree(new);
			return PTR_ERR(found);
		}
	}
}

static inline int map_store(struct map *map, const struct map_key *key,
			    void *value)
{
	struct object *old;
	int ret = put(map, key, value, &old, true);

	if (old)
		kfree_rcu(old, rcu);
	return ret;
}

static inline int map_insert(struct map *map, const struct map_key *key,
			     void *value)
{
	struct object *new = new_object(key, value);
	int err;

	if (!new)
		return -ENOMEM;
	do {
		err = rhashtable_lookup_insert_fast(&map->table, &new->node,
						    params);
	} while (err == -EBUSY && !cond_resched());
	if (err)
		kfree(new);
	return err;
}

static inline int map_replace(struct map *map, const struct map_key *key,
			      void *value)
{
	struct object *old;
	int ret = put(map, key, value, &old, false);

	if (old)
		kfree_rcu(old, rcu);
	return min(ret, 0);
}

static inline bool map_load_and_delete(struct map *map,
				       const struct map_key *key, void **old)
{
	struct object *object;
	bool deleted = false;

	rcu_read_lock();
	do {
		object = find(map, key);
		if (!object)
			break;
		*old = object->value;
		deleted = !rhashtable_remove_fast(&map->table, &object->node,
						  params);
	} while (!deleted);
	rcu_read_unlock();
	if (deleted)
		kfree_rcu(object, rcu);
	return deleted;
}

static inline bool map_delete(struct map *map, const struct map_key *key)
{
	void *old;

	return map_load_and_delete(map, key, &old);
}

static inline int map_swap(struct map *map, const struct map_key *key,
			   void *value, void **old)
{
	struct object *object;
	int ret = put(map, key, value, &object, true);

	*old = NULL;
	if (object) {
		*old = object->value;
		kfree_rcu(object, rcu);
	}
	return ret;
}

static inline int map_load_or_store(struct map *map, const struct map_key *key,
				    void *value, void **actual)
{
	struct object *new, *found;

	if (map_lookup(map, key, actual))
		return 1;
	new = new_object(key, value);
	if (!new)
		return -ENOMEM;
	rcu_read_lock();
	/* Not get_or_insert(), which may sleep. */
	found = rhashtable_lookup_get_insert_fast(&map->table, &new->node,
						  params);
	*actual = value;
	if (!IS_ERR_OR_NULL(found))
		*actual = found->value;
	rcu_read_unlock();
	if (!found)
		return 0;
	kfree(new);
	if (IS_ERR(found))
		return PTR_ERR(found);
	return 1;
}

static inline int map_compare_and_swap(struct map *map,
				       const struct map_key *key, void *old,
				       void *new)
{
	struct object *object, *replacement;
	int ret = 0;

	rcu_read_lock();
	object = find(map, key);
	rcu_read_unlock();
	if (!object)
		return 0;
	replacement = new_object(key, new);
	if (!replacement)
		return -ENOMEM;
	rcu_read_lock();
	do {
		object = find(map, key);
		if (!object || object->value != old)
			break;
		ret = !rhashtable_replace_fast(&map->table, &object->node,
					       &replacement->node, params);
	} while (!ret);
	rcu_read_unlock();
	if (ret)
		kfree_rcu(object, rcu);
	else
		kfree(replacement);
	return ret;
}

static inline bool map_compare_and_delete(struct map *map,
					  const struct map_key *key, void *old)
{
	struct object *object;
	bool deleted = false;

	rcu_read_lock();
	do {
		object = find(map, key);
		if (!object || object->value != old)
			break;
		deleted = !rhashtable_remove_fast(&map->table, &object->node,
						  params);
	} while (!deleted);
	rcu_read_unlock();
	if (deleted)
		kfree_rcu(object, rcu);
	return deleted;
}

static inline unsigned long map_range(struct map *map,
				      bool (*visit)(const struct map_key *key,
						    void *value, void *arg),
				      void *arg)
{
	struct rhashtable_iter iter;
	struct object *object;
	unsigned long calls = 0;

	rhashtable_walk_enter(&map->table, &iter);
	rhashtable_walk_start(&iter);
	while ((object = rhashtable_walk_next(&iter))) {
		if (IS_ERR(object)) /* -EAGAIN: the table was resized */
			continue;
		calls++;
		if (!visit(&object->key, object->value, arg))
			break;
	}
	rhashtable_walk_stop(&iter);
	rhashtable_walk_exit(&iter);
	return calls;
}

/* Deletes what a walk finds, which is how its users flush theirs. */
static inline int map_clear(struct map *map)
{
	struct rhashtable_iter iter;
	struct object *object;

	rhashtable_walk_enter(&map->table, &iter);
	rhashtable_walk_start(&iter);
	while ((object = rhashtable_walk_next(&iter))) {
		if (IS_ERR(object))
			continue;
		if (!rhashtable_remove_fast(&map->table, &object->node, params))
			kfree_rcu(object, rcu);
	}
	rhashtable_walk_stop(&iter);
	rhashtable_walk_exit(&iter);
	return 0;
}

static inline void map_settle(struct map *map)
{
	/* It shrinks step by step, by a worker that queues itself again. */
	do {
		flush_work(&map->table.run_work);
		rcu_barrier();
	} while (work_busy(&map->table.run_work));
}

static inline unsigned long map_bytes(struct map *map, unsigned long n)
{
	struct bucket_table *table;
	size_t bytes;

	rcu_read_lock();
	table = rcu_dereference(map->table.tbl);
	bytes = struct_size(table, buckets, table->size);
	rcu_read_unlock();
	return kmalloc_size_roundup(bytes) +
		n * kmalloc_size_roundup(sizeof(struct object));
}

#include "workloads.h"
