/* SPDX-License-Identifier: GPL-2.0 */
/* All contenders, for each length of keys. */
extern const struct bench_contender bench_syncmap_8;
extern const struct bench_contender bench_syncmap_16;
extern const struct bench_contender bench_syncmap_64;
extern const struct bench_contender bench_syncmap_counted_8;
extern const struct bench_contender bench_syncmap_counted_16;
extern const struct bench_contender bench_syncmap_counted_64;
extern const struct bench_contender bench_syncmap_c_4;
extern const struct bench_contender bench_syncmap_c_8;
extern const struct bench_contender bench_syncmap_c_16;
extern const struct bench_contender bench_syncmap_c_64;
extern const struct bench_contender bench_rhashtable_4;
extern const struct bench_contender bench_rhashtable_8;
extern const struct bench_contender bench_rhashtable_16;
extern const struct bench_contender bench_rhashtable_64;
extern const struct bench_contender bench_xarray_8;
extern const struct bench_contender bench_hashtable_8;
extern const struct bench_contender bench_hashtable_16;
extern const struct bench_contender bench_hashtable_64;
extern const struct bench_contender bench_rbtree_8;
extern const struct bench_contender bench_rbtree_16;
extern const struct bench_contender bench_rbtree_64;
extern const struct bench_contender bench_limit_8;
extern const struct bench_contender bench_loop_8;
extern const struct bench_contender bench_loop_16;
extern const struct bench_contender bench_loop_64;
