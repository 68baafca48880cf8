/* SPDX-License-Identifier: GPL-2.0 */
/*
 * syncmap: a concurrent hash map for read-mostly tables, after Go's sync.Map.
 *
 * Two kinds of maps:
 *
 * - struct syncmap: a map of a module's own, from keys to pointers that the
 *   module owns, as in an XArray or an rhashtable. There is no allocation for
 *   a value; the map allocates an entry for each key.
 * - struct syncmap_named: a map from bytes to bytes that has a name, by which
 *   userspace fills it through /dev/syncmap, and modules find it.
 *
 * Contexts. Everything here that is not said to sleep may be called in process,
 * softirq and hardirq context, under any spinlock, but not in NMIs. Lookups
 * never lock, wait or retry. A function with a gfp_t sleeps if and only if
 * gfpflags_allow_blocking(gfp): for memory, or for a limit of the map; it may
 * then be called in process context only, outside of read-side critical
 * sections and without spinlocks. With GFP_ATOMIC or GFP_NOWAIT it creates keys
 * all the same, and returns -ENOMEM or -EDQUOT where it would have to wait.
 *
 * Where nothing can be allocated, as under raw spinlocks and in hardirq context
 * on PREEMPT_RT, or where a store must not fail for lack of memory, a struct
 * syncmap_reservation has the memory for new keys: see syncmap_reserve().
 *
 * Errors are -errno, or pointers of ERR_PTR(). A map that is NULL or an error
 * pointer itself, and a key of a wrong length, are -EINVAL; lookups find
 * nothing then.
 *
 * Lifetime of values. The pointer that a lookup returns may be used until the
 * caller's read-side critical section ends. Who takes a value out of a map,
 * by overwriting or deleting it, gets the pointer back, and frees what it
 * points to after a grace period: with kfree_rcu(), for example.
 *
 * Modules that use these functions cannot outlive the module syncmap: the
 * kernel refuses to unload it while they are there. A map, or a reference to
 * a named map, that a module has left behind when it goes is reported and
 * taken back.
 */
#ifndef _LINUX_SYNCMAP_H
#define _LINUX_SYNCMAP_H

#include <linux/bits.h>
#include <linux/bug.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

#include <uapi/linux/syncmap.h>

struct module;
struct syncmap;
struct syncmap_named;
struct syncmap_reservation;

/**
 * struct syncmap_params - how a map is made
 * @key_len: bytes of every key, up to SYNCMAP_KEY_MAX; 0 if they vary.
 * Maps with keys of 4 and 8 bytes take them as numbers, and are the fastest. Keys
 * are compared byte by byte: padding in a struct must be zeroed.
 * @max_entries: greatest number of keys; 0 if unlimited. A new key beyond it
 * is -EDQUOT. Exact; in a map with a limit, a new key and deleting a key take the
 * map's lock.
 * @max_bytes: greatest memory of the map, in bytes, what awaits a grace period
 * included; 0 if unlimited. Beyond it stores are -EDQUOT.
 * @release: called for each value that syncmap_clear() or syncmap_destroy()
 * drops, in process context, where it may sleep, and a grace period after
 * the value could be found for the last time. NULL if nothing is to be done.
 * It must not use the map. With @get and @put, it gives back the reference that
 * the caller has stored with the value.
 * @get: takes a reference to a value; false if that has none left, and is
 * about to go. Called in read-side critical sections, in the context of the
 * caller: must neither sleep nor use the map.
 * @put: gives back a reference that @get has taken. The map calls it in process
 * context.
 *
 * @get and @put, both or neither, let syncmap_load() return references, and
 * the callback of syncmap_range() sleep.
 */
struct syncmap_params {
	size_t key_len;
	size_t max_entries;
	size_t max_bytes;
	void (*release)(void *value);
	bool (*get)(void *value);
	void (*put)(void *value);
};

struct syncmap *__syncmap_create(const struct syncmap_params *params, gfp_t gfp,
				 struct module *owner);
void __syncmap_destroy(struct syncmap *map, struct module *owner);
void *__syncmap_lookup(const struct syncmap *map, const void *key, size_t len);
void *__syncmap_lookup_u32(const struct syncmap *map, u32 key);
void *__syncmap_lookup_u64(const struct syncmap *map, u64 key);
void *__syncmap_load(struct syncmap *map, const void *key, size_t len);
void *__syncmap_store(struct syncmap *map, const void *key, size_t len,
		      void *value, gfp_t gfp);
void *__syncmap_load_or_store(struct syncmap *map, const void *key, size_t len,
			      void *value, gfp_t gfp);
struct syncmap_reservation *__syncmap_reserve(struct syncmap *map,
					      unsigned int keys, size_t len,
					      gfp_t gfp);
void syncmap_unreserve(struct syncmap_reservation *reservation);
void *syncmap_store_reserved(struct syncmap *map, const void *key, size_t len,
			     void *value,
			     struct syncmap_reservation *reservation);
void *syncmap_load_or_store_reserved(struct syncmap *map, const void *key,
				     size_t len, void *value,
				     struct syncmap_reservation *reservation);
void *syncmap_load_and_delete(struct syncmap *map, const void *key, size_t len);
int syncmap_compare_and_swap(struct syncmap *map, const void *key, size_t len,
			     const void *old, void *new);
int syncmap_compare_and_delete(struct syncmap *map, const void *key, size_t len,
			       const void *old);
int __syncmap_range(struct syncmap *map,
		    int (*visit)(const void *key, size_t len, void *value,
				 void *arg),
		    void *arg);
int __syncmap_clear(struct syncmap *map);
size_t syncmap_len(const struct syncmap *map);

/* Warns of lookups outside of read-side critical sections, on kernels that check. */
static inline void syncmap_check_section(void)
{
	RCU_LOCKDEP_WARN(!rcu_read_lock_any_held(),
			 "lookup in a syncmap outside of rcu_read_lock()");
}

/**
 * syncmap_create() - make a map
 * @params: how
 * @gfp: flags that allow blocking, else -EINVAL
 *
 * The hash is keyed by a random seed of the map's own.
 *
 * Context: Process context. Sleeps.
 * Return: The map, which the calling module holds until syncmap_destroy();
 * ERR_PTR() of -EINVAL if @params are bad, of -ENOMEM, or of -EDQUOT if
 * @max_bytes is too little for an empty map.
 */
#define syncmap_create(params, gfp) \
	__syncmap_create(params, gfp, THIS_MODULE)

/**
 * syncmap_destroy() - end a map
 * @map: a map that is not used any more; nothing happens if it is NULL, or an
 * error pointer. A map that the calling module does not have is reported, and so
 * is one that is destroyed in the release of one of its own values, which cannot
 * wait for itself: the memory of the map is lost then.
 *
 * Lookups that have begun before are waited for; other calls are not: after
 * unregistering a hook that stores or deletes in softirq, synchronize_rcu().
 *
 * All values are released (&syncmap_params.release) before this returns.
 *
 * Context: Process context. Sleeps, for a grace period or two.
 */
#define syncmap_destroy(map) \
	__syncmap_destroy(map, THIS_MODULE)

/**
 * syncmap_lookup() - look a key up
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 *
 * O(1).
 *
 * Context: Any but NMI, in a read-side critical section.
 * Return: The value, valid until that section ends; NULL if there is none.
 */
static inline void *syncmap_lookup(const struct syncmap *map, const void *key,
				   size_t len)
{
	syncmap_check_section();
	return __syncmap_lookup(map, key, len);
}

/**
 * syncmap_lookup_u32() - look a key of 4 bytes up
 * @map: a map whose &syncmap_params.key_len is 4; in others nothing is found
 * @key: the key
 *
 * As syncmap_lookup(), and faster.
 *
 * Context: Any but NMI, in a read-side critical section.
 * Return: The value, valid until that section ends; NULL if there is none.
 */
static inline void *syncmap_lookup_u32(const struct syncmap *map, u32 key)
{
	syncmap_check_section();
	return __syncmap_lookup_u32(map, key);
}

/**
 * syncmap_lookup_u64() - look a key of 8 bytes up
 * @map: a map whose &syncmap_params.key_len is 8; in others nothing is found
 * @key: the key
 *
 * As syncmap_lookup(), and faster.
 *
 * Context: Any but NMI, in a read-side critical section.
 * Return: The value, valid until that section ends; NULL if there is none.
 */
static inline void *syncmap_lookup_u64(const struct syncmap *map, u64 key)
{
	syncmap_check_section();
	return __syncmap_lookup_u64(map, key);
}

/**
 * syncmap_load() - look a key up and take a reference to its value
 * @map: a map that has &syncmap_params.get, else -EINVAL
 * @key: the key
 * @len: its length in bytes
 *
 * Context: Any but NMI.
 * Return: The value, with a reference that the caller puts; NULL if there is
 * none; ERR_PTR() of -EBUSY if the value that is there has no references left,
 * and stays: references are put after a value was taken out of the map.
 */
static inline void *syncmap_load(struct syncmap *map, const void *key,
				 size_t len)
{
	return __syncmap_load(map, key, len);
}

/**
 * syncmap_store() - set the value of a key
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 * @value: the value: a pointer that is a multiple of 4, and neither NULL nor
 * an error pointer, else -EINVAL
 * @gfp: how an entry is allocated
 *
 * O(1), except for small copies that new keys cause now and then. A new key takes
 * the lock of its segment of the table, of up to 84 keys; and before it that of
 * the map, if the table must change its shape there, or @max_entries is set. Both
 * spin with interrupts off, for a time that does not depend on the number of keys
 * (except those that have come to the same segment by syncmap_store_reserved()
 * lately).
 *
 * Context: Process context, if @gfp allows blocking; sleeps. Any but NMI
 * otherwise; on PREEMPT_RT, one in which memory can be allocated, if the key may
 * be new.
 * Return: The previous value, for the caller to free after a grace period;
 * NULL if there was none; ERR_PTR() of -ENOMEM, of -EDQUOT if a limit of the map
 * is reached, of -E2BIG if too many keys collide with this one, or of -EINTR if a
 * fatal signal has come while waiting for memory to come back. If it failed,
 * nothing has changed.
 */
static inline void *syncmap_store(struct syncmap *map, const void *key,
				  size_t len, void *value, gfp_t gfp)
{
	might_sleep_if(gfpflags_allow_blocking(gfp));
	return __syncmap_store(map, key, len, value, gfp);
}

/**
 * syncmap_swap() - syncmap_store() by another name
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 * @value: the value
 * @gfp: how an entry is allocated
 *
 * sync.Map has both, because its Store drops the previous value; in C, somebody
 * has to free it.
 *
 * Context: As syncmap_store().
 * Return: As syncmap_store().
 */
static inline void *syncmap_swap(struct syncmap *map, const void *key,
				 size_t len, void *value, gfp_t gfp)
{
	return syncmap_store(map, key, len, value, gfp);
}

/**
 * syncmap_load_or_store() - set the value of a key unless it has one
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 * @value: the value, as for syncmap_store()
 * @gfp: how an entry is allocated
 *
 * Context: As syncmap_store().
 * Return: NULL if @value was stored; the value that the key has, with a
 * reference if the map has &syncmap_params.get, else valid until the read-side
 * critical section ends in which the caller is; ERR_PTR() as syncmap_store(), or of
 * -EBUSY, as syncmap_load(). Unless NULL is returned, @value was never visible to
 * others.
 */
static inline void *syncmap_load_or_store(struct syncmap *map, const void *key,
					  size_t len, void *value, gfp_t gfp)
{
	might_sleep_if(gfpflags_allow_blocking(gfp));
	return __syncmap_load_or_store(map, key, len, value, gfp);
}

/**
 * syncmap_reserve() - set memory aside for new keys
 * @map: the map
 * @keys: how many, at least one
 * @len: bytes of a key: &syncmap_params.key_len, or the most if they vary
 * @gfp: how the memory is allocated
 *
 * The memory counts as memory of the map from now on. It is enough for @keys
 * new keys whatever they are, and whatever happens to the map meanwhile, except
 * that more than 224 of them may not collide. A
 * reservation may be used by several processors at the same time.
 *
 * Context: Process context, if @gfp allows blocking; sleeps.
 * Return: The reservation, to be given back by syncmap_unreserve() before the
 * map is destroyed; ERR_PTR() of -EINVAL, -ENOMEM, -EDQUOT or -EINTR.
 */
static inline struct syncmap_reservation *
syncmap_reserve(struct syncmap *map, unsigned int keys, size_t len, gfp_t gfp)
{
	might_sleep_if(gfpflags_allow_blocking(gfp));
	return __syncmap_reserve(map, keys, len, gfp);
}

/**
 * syncmap_unreserve() - give back what is left of a reservation
 * @reservation: a reservation that is not used any more; nothing happens if it
 * is NULL, or an error pointer
 *
 * Context: Process context.
 */
void syncmap_unreserve(struct syncmap_reservation *reservation);

/**
 * syncmap_store_reserved() - syncmap_store() with memory that was set aside
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 * @value: the value, as for syncmap_store()
 * @reservation: a reservation of this map, else -EINVAL; a new key uses its
 * memory
 *
 * Allocates nothing, and frees nothing.
 *
 * Context: Any but NMI, raw spinlocks and hardirq context on PREEMPT_RT included.
 * Return: As syncmap_store(), but not -ENOMEM; ERR_PTR() of -ENOSPC if the key is
 * new and the reservation is used up, or of -E2BIG if the key is longer than those
 * that it was made for.
 */
void *syncmap_store_reserved(struct syncmap *map, const void *key, size_t len,
			     void *value,
			     struct syncmap_reservation *reservation);

/**
 * syncmap_load_or_store_reserved() - syncmap_load_or_store() with memory that was
 * set aside
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 * @value: the value, as for syncmap_store()
 * @reservation: as for syncmap_store_reserved()
 *
 * Context: As syncmap_store_reserved().
 * Return: As syncmap_load_or_store(); errors as syncmap_store_reserved().
 */
void *syncmap_load_or_store_reserved(struct syncmap *map, const void *key,
				     size_t len, void *value,
				     struct syncmap_reservation *reservation);

/**
 * syncmap_load_and_delete() - delete a key
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 *
 * The entry of the key is freed later, by a worker.
 *
 * Context: Any but NMI.
 * Return: The value that it had, for the caller to free after a grace period;
 * NULL if it had none; ERR_PTR() of -EINVAL.
 */
void *syncmap_load_and_delete(struct syncmap *map, const void *key, size_t len);

/**
 * syncmap_delete() - syncmap_load_and_delete() by another name
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 *
 * Context: Any but NMI.
 * Return: As syncmap_load_and_delete().
 */
static inline void *syncmap_delete(struct syncmap *map, const void *key,
				   size_t len)
{
	return syncmap_load_and_delete(map, key, len);
}

/**
 * syncmap_compare_and_swap() - set the value of a key that has a known one
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 * @old: the value that it must have: this pointer, not an equal value
 * @new: the value, as for syncmap_store()
 *
 * Never creates a key, and allocates nothing.
 *
 * Context: Any but NMI.
 * Return: 1 if @new has replaced @old, which is the caller's now, to free
 * after a grace period; 0 if the key has another value, or none; -EINVAL.
 */
int syncmap_compare_and_swap(struct syncmap *map, const void *key, size_t len,
			     const void *old, void *new);

/**
 * syncmap_compare_and_delete() - delete a key that has a known value
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 * @old: the value that it must have: this pointer, not an equal value
 *
 * Context: Any but NMI.
 * Return: 1 if the key was deleted, and @old is the caller's now, to free after
 * a grace period; 0 if the key has another value, or none; -EINVAL.
 */
int syncmap_compare_and_delete(struct syncmap *map, const void *key, size_t len,
			       const void *old);

/**
 * syncmap_range() - visit all keys and values
 * @map: the map
 * @visit: called for each; a return value other than 0 ends the walk. It may
 * use the map in any way
 * @arg: what @visit is called with as well
 *
 * No key is visited twice; a key that is in the map from the beginning to the
 * end is visited once. It is no snapshot. O(n).
 *
 * @visit is called in read-side critical sections, and must not sleep, unless
 * the map has &syncmap_params.get: then it is called outside of them, while the
 * map holds references to key and value, and may sleep.
 *
 * Context: Process context. Sleeps.
 * Return: What @visit has returned last, 0 if there was nothing to visit;
 * -EINVAL.
 */
static inline int syncmap_range(struct syncmap *map,
				int (*visit)(const void *key, size_t len,
					     void *value, void *arg),
				void *arg)
{
	might_sleep();
	return __syncmap_range(map, visit, arg);
}

/**
 * syncmap_clear() - delete all keys
 * @map: the map
 *
 * O(1); the values are released (&syncmap_params.release) later, by a worker.
 *
 * Context: Process context. Sleeps.
 * Return: 0; -EINTR if there is no memory, and a fatal signal has come while
 * waiting for what an earlier call has used; -EBUSY if that has not come back
 * after ten seconds on a workqueue; -ENOMEM if there is none, and memory for new
 * keys is reserved; -EINVAL.
 */
static inline int syncmap_clear(struct syncmap *map)
{
	might_sleep();
	return __syncmap_clear(map);
}

/**
 * syncmap_len() - number of keys
 * @map: the map
 *
 * O(processors). Exact while no operation is in flight; each operation during the
 * call may make it one too high or too low.
 *
 * Context: Any but NMI.
 * Return: The number of keys.
 */
size_t syncmap_len(const struct syncmap *map);

/* If there is no map of the name, one is made; it belongs to root. */
#define SYNCMAP_NAMED_CREATE	BIT(0)
/* If there is no map of the name, wait until there is. */
#define SYNCMAP_NAMED_WAIT	BIT(1)
/* The map may be anybody's. */
#define SYNCMAP_NAMED_ANY_OWNER	BIT(2)

struct syncmap_named *__syncmap_named_get(const char *name, unsigned int flags,
					  u32 mode, struct module *owner);
void __syncmap_named_put(struct syncmap_named *map, struct module *owner);
const void *__syncmap_named_lookup(const struct syncmap_named *map,
				   const void *key, size_t len,
				   size_t *value_len);
int __syncmap_named_store(struct syncmap_named *map, const void *key,
			  size_t len, const void *value, size_t value_len,
			  gfp_t gfp);
int __syncmap_named_range(struct syncmap_named *map,
			  int (*visit)(const void *key, size_t len,
				       const void *value, size_t value_len,
				       void *arg),
			  void *arg);

/**
 * syncmap_named_get() - take a reference to a named map
 * @name: its name
 * @flags: SYNCMAP_NAMED_CREATE or SYNCMAP_NAMED_WAIT or neither, and perhaps
 * SYNCMAP_NAMED_ANY_OWNER
 * @mode: who may use it from userspace, if it is made: permission bits as of a
 * file, such as 0600
 *
 * Names are there for all who can open the device, so a name alone does not
 * tell whose map it is: one that does not belong to root, or was made in another
 * user namespace than the initial one, is -EPERM without
 * SYNCMAP_NAMED_ANY_OWNER.
 *
 * A map lives for as long as somebody refers to it. Its limits are those of
 * the parameters of the module syncmap. Names last until userspace unlinks
 * them, or the module syncmap goes.
 *
 * Context: Process context. Sleeps. Waits until a signal comes, and so is not for
 * kernel threads, which get none.
 * Return: The map, which the calling module holds until syncmap_named_put();
 * ERR_PTR() of -ENOENT, of -EPERM, of -EINTR if a signal has come while waiting, of
 * -EINVAL if @name is none, or flags or mode are bad, of -ENAMETOOLONG, or of
 * -ENOMEM.
 */
#define syncmap_named_get(name, flags, mode) \
	__syncmap_named_get(name, flags, mode, THIS_MODULE)

/**
 * syncmap_named_put() - give back a reference to a named map
 * @map: the map; nothing happens if it is NULL, or an error pointer. A map that
 * the calling module does not hold is reported.
 *
 * Waits for lookups through this reference that are still running, if it is the
 * module's last.
 *
 * Context: Process context. Sleeps, for a grace period or two.
 */
#define syncmap_named_put(map) \
	__syncmap_named_put(map, THIS_MODULE)

/**
 * syncmap_named_lookup() - look a key up in a named map
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 * @value_len: where the length of the value goes, in bytes, if there is one;
 * NULL if it is not wanted
 *
 * O(1). Values are not aligned.
 *
 * Context: Any but NMI, in a read-side critical section.
 * Return: The value, which never changes and is valid until that section ends;
 * NULL if there is none.
 */
static inline const void *syncmap_named_lookup(const struct syncmap_named *map,
					       const void *key, size_t len,
					       size_t *value_len)
{
	syncmap_check_section();
	return __syncmap_named_lookup(map, key, len, value_len);
}

/**
 * syncmap_named_store() - set the value of a key in a named map
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 * @value: the value, which is copied
 * @value_len: its length in bytes, at most 65536, else -E2BIG
 * @gfp: how entry and value are allocated
 *
 * Context: Process context, if @gfp allows blocking; sleeps. Otherwise any in
 * which memory can be allocated: on PREEMPT_RT, neither hardirq nor under raw
 * spinlocks.
 * Return: 0; -ENOMEM, -EDQUOT, -E2BIG if too many keys collide with this one,
 * -EINTR or -EINVAL. If it failed, nothing has changed.
 */
static inline int syncmap_named_store(struct syncmap_named *map,
				      const void *key, size_t len,
				      const void *value, size_t value_len,
				      gfp_t gfp)
{
	might_sleep_if(gfpflags_allow_blocking(gfp));
	return __syncmap_named_store(map, key, len, value, value_len, gfp);
}

/**
 * syncmap_named_delete() - delete a key in a named map
 * @map: the map
 * @key: the key
 * @len: its length in bytes
 *
 * Context: Any but NMI.
 * Return: 1 if the key was there, 0 if it was not; -EINVAL.
 */
int syncmap_named_delete(struct syncmap_named *map, const void *key,
			 size_t len);

/**
 * syncmap_named_range() - visit all keys and values of a named map
 * @map: the map
 * @visit: called for each, in a read-side critical section: must not sleep. A
 * return value other than 0 ends the walk
 * @arg: what @visit is called with as well
 *
 * As syncmap_range().
 *
 * Context: Process context. Sleeps.
 * Return: What @visit has returned last, 0 if there was nothing to visit;
 * -EINVAL.
 */
static inline int syncmap_named_range(struct syncmap_named *map,
				      int (*visit)(const void *key, size_t len,
						   const void *value,
						   size_t value_len, void *arg),
				      void *arg)
{
	might_sleep();
	return __syncmap_named_range(map, visit, arg);
}

/**
 * syncmap_named_len() - number of keys in a named map
 * @map: the map
 *
 * As syncmap_len().
 *
 * Context: Any but NMI.
 * Return: The number of keys.
 */
size_t syncmap_named_len(const struct syncmap_named *map);

#endif /* _LINUX_SYNCMAP_H */
