/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN
 *   inih splits lines into keys and values and strips comments. It cuts the names of
 *   sections at 49 bytes, joins indented lines, and says nothing of a section without
 *   keys; so the reader below, through which it gets its lines, looks at each first: it
 *   refuses what is no text, keeps section headers to itself and counts.
 */
#include "base/conf_block.h"

#include <config.h>
#include <ini.h>
#include <pthread.h>
#include "base/utf8.h"

#define LINE_BYTES_MAX 8192
#define NAME_BYTES_MAX 256
#define BLOCKS_MAX 4096
#define BOM "\xef\xbb\xbf"

struct parser {
	struct conf *conf;
	struct slice left; /* of the text */
	int line;
	struct conf_block *block; /* whose keys we are in */
	int n_blocks;
	bool skipping; /* keys of a section whose header is wrong */
	bool failed;
	struct err *err;
	struct err_all *all;
};

static void set_up_inih(void)
{
#if HAVE_DECL_INI_MAX_LINE
	/* Debian lets programs choose; elsewhere lines are limited to inih's 200 bytes, and
	   the reader says so of longer ones. */
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_initial_alloc = LINE_BYTES_MAX;
	ini_max_line = LINE_BYTES_MAX;
#endif
}

/* For the error that has just been set; true: the other lines are looked at all the same. */
static bool at_line(struct parser *p)
{
	(void)err_prefix(p->err, "%s:%d", p->conf->file, p->line);
	p->failed |= !err_all_take(p->all, p->err);
	return !p->failed;
}

/* Between the brackets: "http" or "model digits". */
static enum err_code open_section(struct parser *p, struct slice head)
{
	const char *space = memchr(head.ptr, ' ', head.len);
	struct slice word = { head.ptr, space ? (size_t)(space - head.ptr) : head.len };
	const struct conf_section *s = conf_block_find_section(p->conf->sections, word);
	if (!s)
		return conf_block_no_section(p->conf->sections, word, head, p->err);
	if (s->named != (space != NULL))
		return err_set(p->err, ERR_INVALID_ARGUMENT,
			s->named ? "section [%s] needs a name: [%s NAME]"
				 : "section [%s] takes no name",
			s->name, s->name);
	char *name = NULL;
	if (space) {
		struct slice rest = { space + 1, head.len - word.len - 1 };
		TRY(utf8_check_name(rest, NAME_BYTES_MAX, "name of the section", p->err));
		name = arena_strndup(p->conf->arena, rest.ptr, rest.len);
		if (!name)
			return err_oom(p->err);
		if (strcmp(name, "*") == 0 && conf_next(p->conf, s->name, NULL))
			return err_set(p->err, ERR_INVALID_ARGUMENT,
				"[%s *] must stand before the other sections [%s ...]", s->name,
				s->name);
	}
	struct conf_block *b = conf_block_find(p->conf, s, name);
	if (b && b->line > 0)
		return err_set(p->err, ERR_INVALID_ARGUMENT,
			"section [%.*s] stands on line %d already", SLICE_ARG(head), b->line);
	if (!b) {
		if (++p->n_blocks > BLOCKS_MAX)
			return err_set(p->err, ERR_RESOURCE_EXHAUSTED, "more than %d sections",
				BLOCKS_MAX);
		TRY(conf_block_new(p->conf, s, name, &b, p->err));
	}
	b->line = p->line;
	p->block = b;
	return ERR_OK;
}

static enum err_code read_header(struct parser *p, struct slice line)
{
	const char *end = memchr(line.ptr, ']', line.len);
	size_t len = end ? (size_t)(end - line.ptr) : 0;
	size_t after = len + 1;
	while (end && after < line.len && strchr(" \t", line.ptr[after]))
		after++;
	if (!end || (after < line.len && !strchr(";#", line.ptr[after])))
		return err_set(
			p->err, ERR_INVALID_ARGUMENT, "a section is [NAME], alone on its line");
	return open_section(p, (struct slice){ line.ptr + 1, len - 1 });
}

static enum err_code check_text(struct parser *p, struct slice line, size_t bytes_max)
{
	if (p->line == 1 && line.len >= 3 && memcmp(line.ptr, BOM, 3) == 0)
		return err_set(p->err, ERR_INVALID_ARGUMENT, "begins with a byte order mark");
	if (line.len > bytes_max)
		return err_set(p->err, ERR_INVALID_ARGUMENT,
			"line of %zu bytes, at most %zu are allowed", line.len, bytes_max);
	uint32_t c;
	for (size_t at = 0, n; at < line.len; at += n) {
		n = utf8_decode(line.ptr + at, line.len - at, &c);
		if (n == 0 || (utf8_is_control(c) && c != '\t'))
			return err_set(p->err, ERR_INVALID_ARGUMENT, "byte %zu (0x%02x) is no text",
				at + 1, (uint8_t)line.ptr[at]);
	}
	return ERR_OK;
}

/* By inih's rules, which would pass over such a line in silence until the end. */
static enum err_code check_pair(struct parser *p, struct slice line)
{
	bool space = false;
	for (size_t i = 0; i < line.len && !(space && line.ptr[i] == ';'); i++) {
		if (line.ptr[i] == '=' || line.ptr[i] == ':')
			return ERR_OK;
		space = line.ptr[i] == ' ' || line.ptr[i] == '\t';
	}
	if (line.len == 0 || strchr(";#", line.ptr[0]))
		return ERR_OK;
	return err_set(p->err, ERR_INVALID_ARGUMENT, "not of the form KEY = VALUE");
}

/* inih's way to get a line: fgets(). A section's header becomes an empty line, and so does
   what is wrong. */
static char *read_line(char *to, int size, void *stream)
{
	struct parser *p = stream;
	if (p->failed || p->left.len == 0)
		return NULL;
	p->line++;
	const char *end = memchr(p->left.ptr, '\n', p->left.len);
	struct slice line = { p->left.ptr, end ? (size_t)(end - p->left.ptr) : p->left.len };
	size_t skip = line.len + (end != NULL);
	p->left = (struct slice){ p->left.ptr + skip, p->left.len - skip };
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	enum err_code rc = check_text(p, line, (size_t)size - 3);
	while (line.len > 0 && strchr(" \t", line.ptr[0]))
		line = (struct slice){ line.ptr + 1, line.len - 1 };
	bool header = line.len > 0 && line.ptr[0] == '[';
	if (rc == ERR_OK)
		rc = header ? read_header(p, line) : check_pair(p, line);
	if (header)
		p->skipping = rc != ERR_OK;
	if (rc != ERR_OK && !at_line(p))
		return NULL;
	if (header || rc != ERR_OK)
		line.len = 0;
	memcpy(to, line.ptr, line.len);
	memcpy(to + line.len, "\n", 2);
	return to;
}

/* inih's handler; 0 stops. */
static int on_key(void *user, const char *section, const char *key, const char *value)
{
	struct parser *p = user;
	(void)section;
	if (p->skipping)
		return 1;
	enum err_code rc = p->block ? conf_block_set(p->conf, p->block, key, value, p->line, p->err)
				    : err_set(p->err, ERR_INVALID_ARGUMENT,
					      "'%s' stands before the first [section]", key);
	return rc == ERR_OK || at_line(p);
}

static enum err_code parse_text(struct parser *p)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up_inih);
	int bad_line = ini_parse_stream(read_line, p, on_key, p);
	if (p->failed)
		return p->err->code;
	/* Only memory: lines that inih would not have do not reach it. */
	return bad_line ? err_oom(p->err) : ERR_OK;
}

enum err_code conf_parse(const struct conf_section *sections, const struct conf_source *from,
	struct arena *arena, struct conf **ret, struct err *err)
{
	struct err own;
	if (from->text.len > CONF_BYTES_MAX)
		return err_set(err, ERR_RESOURCE_EXHAUSTED,
			"%s: has %zu bytes, at most %u are allowed", from->file, from->text.len,
			CONF_BYTES_MAX);
	struct conf *c = ARENA_NEW(arena, struct conf);
	if (!c)
		return err_oom(err);
	*c = (struct conf){ .arena = arena, .sections = sections, .file = from->file };
	for (const struct conf_section *s = sections; s->name; s++) {
		struct conf_block *b;
		if (!s->named)
			TRY(conf_block_new(c, s, NULL, &b, err));
	}
	struct parser p = { .conf = c, .left = from->text, .err = err ? err : &own,
		.all = from->all };
	TRY(parse_text(&p));
	*ret = c;
	return ERR_OK;
}
