// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU that counts the instructions that a guest executes between two
 * marks, by address. A mark is an instruction that does nothing, and has a number
 * in it that nobody else uses (tests/bench/kernel/contender.h).
 *
 * What it prints, into the file that is its argument: for each pair of marks "pass",
 * and then in each line the address of a block of instructions, and how many of
 * them have been executed. For one processor.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu.h"

__attribute__((visibility("default"))) int qemu_plugin_version = 4;

/* nopl, with the first four bytes of "syncmap", or those and one, behind it. */
static const uint8_t begin[] = { 0x0f, 0x1f, 0x80, 's', 'y', 'n', 'c' };
static const uint8_t end[] = { 0x0f, 0x1f, 0x80, 't', 'y', 'n', 'c' };

/* A block of instructions, as often as it is translated. */
struct block {
	struct block *next;
	unsigned long long address, instructions, executed;
};

static struct block *blocks;
static FILE *out;
static bool counting;

static void on_block(unsigned int cpu, void *data)
{
	struct block *block = data;

	block->executed += counting;
}

static void on_begin(unsigned int cpu, void *data)
{
	struct block *block;

	for (block = blocks; block; block = block->next)
		block->executed = 0;
	counting = true;
}

static void on_end(unsigned int cpu, void *data)
{
	struct block *block;

	counting = false;
	fprintf(out, "pass\n");
	for (block = blocks; block; block = block->next) {
		if (block->executed)
			fprintf(out, "%llx %llu\n", block->address,
				block->executed * block->instructions);
	}
	fflush(out);
}

static void on_translation(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *block = calloc(1, sizeof(*block));
	struct qemu_plugin_insn *insn;
	uint8_t code[sizeof(begin)];
	size_t i;

	if (!block)
		abort();
	block->address = qemu_plugin_tb_vaddr(tb);
	block->instructions = qemu_plugin_tb_n_insns(tb);
	block->next = blocks;
	blocks = block;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, 0, block);
	for (i = 0; i < block->instructions; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (qemu_plugin_insn_data(insn, code, sizeof(code)) != sizeof(code))
			continue;
		if (!memcmp(code, begin, sizeof(code)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_begin, 0,
							       NULL);
		if (!memcmp(code, end, sizeof(code)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end, 0,
							       NULL);
	}
}

__attribute__((visibility("default")))
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	const char *name = argc == 1 ? strchr(argv[0], '=') : NULL;

	out = name ? fopen(name + 1, "w") : NULL;
	if (!out) {
		fprintf(stderr, "plugin: say to=PATH, of a file to write to\n");
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
