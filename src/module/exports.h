/* SPDX-License-Identifier: GPL-2.0 */
/* What exports.c and capi.rs call of each other. */
#ifndef SYNCMAP_EXPORTS_H
#define SYNCMAP_EXPORTS_H

struct module;

const char *syncmap_module_name(struct module *module);
int syncmap_exports_init(void);
void syncmap_exports_exit(void);

/* In capi.rs. */
void syncmap_module_gone(struct module *module);

#endif /* SYNCMAP_EXPORTS_H */
