/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The input files, as the keys and values that the map must then hold: the
 * services database and a list of words. Everything is kept, so that every
 * answer of the map can be compared with it.
 */
#ifndef SYNCMAP_DEMO_INPUT_H
#define SYNCMAP_DEMO_INPUT_H

#include "demo_base.h"

#include <fcntl.h>

#include <linux/syncmap.h>

/* Longer lines are left out, so no value is longer than this. */
#define LINE_MAX_BYTES	SYNCMAP_KEY_MAX
#define VALUE_BYTES	(LINE_MAX_BYTES + 64)

struct entry {
	const char *key;
	char *value;
	__u32 key_len;
	__u32 value_len;
	/* Number of the entry that had this key first: itself, mostly. */
	__u32 first;
};

struct input {
	struct entry *entries;
	__u32 count;
	__u32 room;
	/* Hash table over the keys: number of an entry + 1, or 0. */
	__u32 *index;
	__u32 index_mask;
	/* What to tell about the files. */
	__u32 service_lines, services, aliases, ambiguous;
	__u32 word_lines, words;
	__u32 duplicates, odd_lines, long_lines, empty_lines;
};

struct text {
	const char *begin;
	const char *end;
};

static __u32 hash_of(const char *key, __u32 len)
{
	__u32 hash = 2166136261U;

	while (len--)
		hash = (hash ^ (unsigned char)*key++) * 16777619U;
	return hash ^ hash >> 15;
}

/* Where the key is in the index, or the free place where it belongs. */
static __u32 *find_place(const struct input *input, const char *key, __u32 len)
{
	__u32 at = hash_of(key, len) & input->index_mask;
	const struct entry *entry;

	for (; input->index[at]; at = (at + 1) & input->index_mask) {
		entry = &input->entries[input->index[at] - 1];
		if (entry->key_len == len && !memcmp(entry->key, key, len))
			break;
	}
	return &input->index[at];
}

static struct entry *find_entry(const struct input *input, const char *key,
				__u32 len)
{
	const __u32 place = *find_place(input, key, len);

	return place ? &input->entries[place - 1] : NULL;
}

static void grow_input(struct input *input)
{
	const __u32 room = input->room ? 2 * input->room : 1024;
	__u32 i;

	input->entries = realloc(input->entries, room * sizeof(struct entry));
	if (!input->entries)
		failed("no memory for the input");
	free(input->index);
	input->index = allocate(4 * room, sizeof(__u32));
	input->index_mask = 4 * room - 1;
	input->room = room;
	for (i = 0; i < input->count; i++)
		if (input->entries[i].first == i)
			*find_place(input, input->entries[i].key,
				    input->entries[i].key_len) = i + 1;
}

/* The first value of a key is the one that counts, here as in the map. */
static void add_entry(struct input *input, struct text key, char *value)
{
	struct entry *entry;
	__u32 *place;

	if (input->count == input->room)
		grow_input(input);
	entry = &input->entries[input->count];
	entry->key = key.begin;
	entry->key_len = key.end - key.begin;
	entry->value = value;
	entry->value_len = strlen(value);
	place = find_place(input, entry->key, entry->key_len);
	if (*place) {
		input->duplicates++;
		entry->first = *place - 1;
	} else {
		*place = input->count + 1;
		entry->first = input->count;
	}
	input->count++;
}

#define new_value(format, ...) \
	({ \
		char *value_; \
		\
		if (asprintf(&value_, format, ##__VA_ARGS__) < 0) \
			failed("no memory for the input"); \
		value_; \
	})

/* All of a file; a missing one is the end of the demo. */
static struct text read_file(const char *path)
{
	const int file = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 0, room = 65536;
	char *data = malloc(room);
	ssize_t got;

	if (file < 0)
		failed("cannot open %s: %s", path, strerror(errno));
	while (data && (got = read(file, data + size, room - size)) > 0) {
		size += got;
		if (size == room)
			data = realloc(data, room *= 2);
	}
	if (!data)
		failed("no memory for %s", path);
	if (got < 0)
		failed("cannot read %s: %s", path, strerror(errno));
	close(file);
	return (struct text) { data, data + size };
}

/* The next line, without its end of either kind; false after the last. */
static bool next_line(struct text *file, struct text *line)
{
	const char *end;

	if (file->begin == file->end)
		return false;
	end = memchr(file->begin, '\n', file->end - file->begin);
	line->begin = file->begin;
	line->end = end ? end : file->end;
	file->begin = end ? end + 1 : file->end;
	while (line->end > line->begin && line->end[-1] == '\r')
		line->end--;
	return true;
}

/* A line that cannot be a key, or only an absurd one, is counted instead. */
static bool usable_line(struct input *input, struct text line)
{
	if (line.begin == line.end)
		input->empty_lines++;
	else if (line.end - line.begin > LINE_MAX_BYTES)
		input->long_lines++;
	else
		return true;
	return false;
}

static void read_words(struct input *input, const char *path)
{
	struct text file = read_file(path), line;

	while (next_line(&file, &line)) {
		input->word_lines++;
		if (!usable_line(input, line))
			continue;
		input->words++;
		add_entry(input, line, new_value("line %u, %d bytes",
						 input->word_lines,
						 (int)(line.end - line.begin)));
	}
}

/* The next word of a line, or false. */
static bool next_field(struct text *line, struct text *field)
{
	const char *p = line->begin;

	while (p < line->end && (*p == ' ' || *p == '\t'))
		p++;
	field->begin = p;
	while (p < line->end && *p != ' ' && *p != '\t')
		p++;
	field->end = p;
	line->begin = p;
	return field->begin < field->end;
}

/* A line of the services database: a name, "port/protocol", and aliases. */
struct service {
	struct text name;
	struct text port;
	struct text protocol;
	struct text aliases;
};

static bool parse_service(struct text line, struct service *service)
{
	const char *comment = memchr(line.begin, '#', line.end - line.begin);
	const char *slash;

	if (comment)
		line.end = comment;
	if (!next_field(&line, &service->name) ||
	    !next_field(&line, &service->port))
		return false;
	slash = memchr(service->port.begin, '/',
		       service->port.end - service->port.begin);
	if (!slash || slash == service->port.begin ||
	    slash + 1 == service->port.end)
		return false;
	service->protocol = (struct text) { slash + 1, service->port.end };
	service->port.end = slash;
	/* Without the blanks on both sides. */
	next_field(&line, &service->aliases);
	while (line.end > service->aliases.begin &&
	       (line.end[-1] == ' ' || line.end[-1] == '\t'))
		line.end--;
	service->aliases.end = line.end;
	return true;
}

static int length(struct text text)
{
	return text.end - text.begin;
}

/* "http/tcp", which a line of the file cannot lend: its parts lie apart. */
static struct text service_key(struct text name, struct text protocol)
{
	const char *key = new_value("%.*s/%.*s", length(name), name.begin,
				    length(protocol), protocol.begin);

	return (struct text) { key, key + strlen(key) };
}

static void add_service(struct input *input, const struct service *service)
{
	const bool aliases = length(service->aliases) > 0;

	input->services++;
	add_entry(input, service_key(service->name, service->protocol),
		  new_value("%.*s%s%.*s", length(service->port),
			    service->port.begin, aliases ? " " : "",
			    length(service->aliases), service->aliases.begin));
}

/*
 * An alias is a key too, "www/tcp" with the value "80 is http", unless it is
 * the name or the alias of another service as well.
 */
static void add_aliases(struct input *input, const struct service *service,
			__u32 names)
{
	struct text left = service->aliases, alias, key;
	struct entry *known;

	while (next_field(&left, &alias)) {
		key = service_key(alias, service->protocol);
		known = find_entry(input, key.begin, length(key));
		if (!known) {
			add_entry(input, key,
				  new_value("%.*s is %.*s",
					    length(service->port),
					    service->port.begin,
					    length(service->name),
					    service->name.begin));
			continue;
		}
		input->ambiguous++;
		/* An alias that was thought to be the only one is not. */
		if (known - input->entries >= names)
			known->value[0] = 0;
	}
}

/* Takes out the aliases whose values add_aliases() has emptied. */
static void drop_ambiguous(struct input *input, __u32 names)
{
	const __u32 count = input->count;
	struct entry *entry;
	__u32 i;

	input->count = names;
	memset(input->index, 0, (input->index_mask + 1) * sizeof(__u32));
	for (i = 0; i < names; i++)
		if (input->entries[i].first == i)
			*find_place(input, input->entries[i].key,
				    input->entries[i].key_len) = i + 1;
	for (i = names; i < count; i++) {
		entry = &input->entries[i];
		if (entry->value[0]) {
			add_entry(input,
				  (struct text) { entry->key, entry->key +
						  entry->key_len },
				  entry->value);
			input->aliases++;
		} else {
			input->ambiguous++;
		}
	}
}

static void read_services(struct input *input, const char *path)
{
	const struct text whole = read_file(path);
	struct text file = whole, line, field;
	struct service service;
	__u32 names;

	while (next_line(&file, &line)) {
		input->service_lines++;
		if (!usable_line(input, line))
			continue;
		if (parse_service(line, &service))
			add_service(input, &service);
		else if (next_field(&line, &field) && field.begin[0] != '#')
			input->odd_lines++;
	}
	/* Names come first: an alias must not take the place of a name. */
	names = input->count;
	for (file = whole; next_line(&file, &line);)
		if (length(line) <= LINE_MAX_BYTES &&
		    parse_service(line, &service))
			add_aliases(input, &service, names);
	if (input->count > names)
		drop_ambiguous(input, names);
}

#endif /* SYNCMAP_DEMO_INPUT_H */
