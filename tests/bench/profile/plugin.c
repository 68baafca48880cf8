// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU that counts the instructions that a guest executes between two
 * marks, by address. A mark is an instruction that does nothing, and has a number
 * in it that nobody else uses (tests/bench/kernel/contender.h).
 *
 * It counts too for how many of them interrupts are off at a time, with the marks or
 * without: that is how long others may have to wait.
 *
 * What it prints, into the file that is its argument: for each pair of marks "pass",
 * and then in each line the address of a block of instructions, and how many of
 * them have been executed; or "off", where interrupts have been switched off since the
 * last pair, the block that led there, how often, and for how many instructions, in
 * all and at most. For one processor.
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

/* What switches interrupts off, and what may switch them on again. */
static const uint8_t cli[] = { 0xfa };
static const uint8_t sti[] = { 0xfb }, popf[] = { 0x9d };
static const uint8_t iretq[] = { 0x48, 0xcf }, sysretq[] = { 0x48, 0x0f, 0x07 };

/* A block of instructions, as often as it is translated. */
struct block {
	struct block *next;
	unsigned long long address, instructions, executed;
};

/* An instruction that changes whether interrupts are on. */
struct place {
	const struct block *block;
	unsigned long long address, index;
};

/* What is known of a place that switches them off, and is reached from a block. */
struct off {
	struct off *next;
	unsigned long long place, from, times, total, longest;
};

static struct block *blocks;
static FILE *out;
static bool counting;
static struct off *offs;
/* Where they have been switched off, if they are, and when. */
static struct off *now_off;
static unsigned long long off_since;
/* All instructions to the end of this block; this block, and the one before. */
static unsigned long long executed;
static const struct block *block_now, *block_before;

static void *allocate(size_t size)
{
	void *new = calloc(1, size);

	if (!new)
		abort();
	return new;
}

static void on_block(unsigned int cpu, void *data)
{
	struct block *block = data;

	block->executed += counting;
	executed += block->instructions;
	block_before = block_now;
	block_now = block;
}

/* Instructions that have been executed up to this place. */
static unsigned long long until(const struct place *place)
{
	return executed - place->block->instructions + place->index;
}

static void on_switch_off(unsigned int cpu, void *data)
{
	const struct place *place = data;
	unsigned long long from = block_before ? block_before->address : 0;
	struct off *off;

	if (now_off)
		return;
	for (off = offs; off; off = off->next) {
		if (off->place == place->address && off->from == from)
			break;
	}
	if (!off) {
		off = allocate(sizeof(*off));
		off->place = place->address;
		off->from = from;
		off->next = offs;
		offs = off;
	}
	now_off = off;
	off_since = until(place);
}

static void on_switch_on(unsigned int cpu, void *data)
{
	unsigned long long length;

	if (!now_off)
		return;
	length = until(data) - off_since;
	now_off->times++;
	now_off->total += length;
	if (now_off->longest < length)
		now_off->longest = length;
	now_off = NULL;
}

static void print_offs(void)
{
	struct off *off;

	for (off = offs; off; off = off->next) {
		if (off->times)
			fprintf(out, "off %llx %llx %llu %llu %llu\n", off->place,
				off->from, off->times, off->total, off->longest);
		off->times = 0;
		off->total = 0;
		off->longest = 0;
	}
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
	print_offs();
	fflush(out);
}

#define IS(code, size, what) \
	((size) >= sizeof(what) && !memcmp(code, what, sizeof(what)))

static void on_translation(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *block = allocate(sizeof(*block));
	struct qemu_plugin_insn *insn;
	struct place *place;
	uint8_t code[sizeof(begin)];
	on_execution_fn *then;
	size_t i, size;

	block->address = qemu_plugin_tb_vaddr(tb);
	block->instructions = qemu_plugin_tb_n_insns(tb);
	block->next = blocks;
	blocks = block;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, 0, block);
	for (i = 0; i < block->instructions; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		size = qemu_plugin_insn_data(insn, code, sizeof(code));
		if (IS(code, size, begin))
			then = on_begin;
		else if (IS(code, size, end))
			then = on_end;
		else if (IS(code, size, cli))
			then = on_switch_off;
		else if (IS(code, size, sti) || IS(code, size, popf) ||
			 IS(code, size, iretq) || IS(code, size, sysretq))
			then = on_switch_on;
		else
			continue;
		place = allocate(sizeof(*place));
		place->block = block;
		place->address = qemu_plugin_insn_vaddr(insn);
		place->index = i;
		qemu_plugin_register_vcpu_insn_exec_cb(insn, then, 0, place);
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
