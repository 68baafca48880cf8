/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The operations of contenders whose updates are made under a lock. They define
 * struct map and struct object (with a key, a value, and an rcu_head where
 * readers do without the lock), and:
 *
 * map_lock(), map_unlock(); find() and unlink() with the lock held;
 * link() with the lock held, for a key that is not there;
 * release(), for an object that was unlinked.
 */
static inline struct object *new_object(const struct map_key *key, void *value)
{
	struct object *object = kmalloc(sizeof(*object), GFP_KERNEL);

	if (object) {
		object->key = *key;
		object->value = value;
	}
	return object;
}

/* Allocates, for a key that is perhaps new, before the lock is taken. */
static inline int map_load_or_store(struct map *map, const struct map_key *key,
				    void *value, void **actual)
{
	struct object *new = new_object(key, value), *object;

	if (!new)
		return -ENOMEM;
	map_lock(map);
	object = find(map, key);
	if (object)
		*actual = object->value;
	else
		link(map, new);
	map_unlock(map);
	if (object) {
		kfree(new);
		return 1;
	}
	*actual = value;
	return 0;
}

static inline int map_insert(struct map *map, const struct map_key *key,
			     void *value)
{
	void *actual;
	int ret = map_load_or_store(map, key, value, &actual);

	return ret == 1 ? -EEXIST : ret;
}

/* Overwrites in place, which the lock allows; whether the key was there. */
static inline bool overwrite(struct map *map, const struct map_key *key,
			     void *value, void **old)
{
	struct object *object;

	map_lock(map);
	object = find(map, key);
	if (object) {
		*old = object->value;
		WRITE_ONCE(object->value, value);
	}
	map_unlock(map);
	return object;
}

static inline int map_swap(struct map *map, const struct map_key *key,
			   void *value, void **old)
{
	struct object *new, *object;

	if (overwrite(map, key, value, old))
		return 1;
	*old = NULL;
	new = new_object(key, value);
	if (!new)
		return -ENOMEM;
	map_lock(map);
	object = find(map, key);
	if (object) {
		*old = object->value;
		WRITE_ONCE(object->value, value);
	} else {
		link(map, new);
	}
	map_unlock(map);
	if (!object)
		return 0;
	kfree(new);
	return 1;
}

static inline int map_store(struct map *map, const struct map_key *key,
			    void *value)
{
	void *old;

	return map_swap(map, key, value, &old);
}

static inline int map_replace(struct map *map, const struct map_key *key,
			      void *value)
{
	void *old;

	return overwrite(map, key, value, &old) ? 0 : -ENOENT;
}

static inline bool map_load_and_delete(struct map *map,
				       const struct map_key *key, void **old)
{
	struct object *object;

	map_lock(map);
	object = find(map, key);
	if (object)
		unlink(map, object);
	map_unlock(map);
	if (!object)
		return false;
	*old = object->value;
	release(object);
	return true;
}

static inline bool map_delete(struct map *map, const struct map_key *key)
{
	void *old;

	return map_load_and_delete(map, key, &old);
}

static inline int map_compare_and_swap(struct map *map,
				       const struct map_key *key, void *old,
				       void *new)
{
	struct object *object;
	bool swapped;

	map_lock(map);
	object = find(map, key);
	swapped = object && object->value == old;
	if (swapped)
		WRITE_ONCE(object->value, new);
	map_unlock(map);
	return swapped;
}

static inline bool map_compare_and_delete(struct map *map,
					  const struct map_key *key, void *old)
{
	struct object *object;
	bool deleted;

	map_lock(map);
	object = find(map, key);
	deleted = object && object->value == old;
	if (deleted)
		unlink(map, object);
	map_unlock(map);
	if (deleted)
		release(object);
	return deleted;
}
