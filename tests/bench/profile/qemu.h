/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is used of QEMU's interface for plugins, version 4: QEMU's packages come without
 * its header. See "QEMU TCG Plugins" in the documentation of QEMU.
 */
#ifndef SYNCMAP_BENCH_PROFILE_QEMU_H
#define SYNCMAP_BENCH_PROFILE_QEMU_H

#include <stddef.h>
#include <stdint.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;

typedef void on_translation_fn(uint64_t id, struct qemu_plugin_tb *tb);
typedef void on_execution_fn(unsigned int cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, on_translation_fn *cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  on_execution_fn *cb, int flags,
					  void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    on_execution_fn *cb, int flags,
					    void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to,
			     size_t len);

#endif /* SYNCMAP_BENCH_PROFILE_QEMU_H */
