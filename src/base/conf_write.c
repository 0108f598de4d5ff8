/* SPDX-License-Identifier: Apache-2.0 */
/* The table as a file to start from. */
#include "base/conf.h"

#define COLUMNS 90

/* Each line begins with "# ". */
static void write_wrapped(const char *text, struct buf *to)
{
	while (*text) {
		size_t len = strlen(text);
		if (len > COLUMNS) {
			len = COLUMNS;
			while (len > 0 && text[len] != ' ')
				len--;
			len = len > 0 ? len : strcspn(text, " ");
		}
		buf_str(to, "# ");
		buf_bytes(to, text, len);
		buf_char(to, '\n');
		text += len;
		text += strspn(text, " ");
	}
}

void conf_write(const struct conf_section *sections, struct buf *to)
{
	for (const struct conf_section *s = sections; s->name; s++) {
		buf_char(to, '\n');
		write_wrapped(s->help, to);
		buf_printf(to, s->named ? "#[%s NAME]\n" : "[%s]\n", s->name);
		for (int i = 0; i < s->n_options; i++) {
			const struct conf_option *o = &s->option[i];
			buf_char(to, '\n');
			write_wrapped(o->help, to);
			buf_str(to, "# (");
			conf_value_rule(o, to);
			buf_str(to, o->reload || s->named ? ")\n" : "; needs a restart)\n");
			buf_printf(to, "#%s =%s%s\n", o->key, *o->init ? " " : "", o->init);
		}
	}
}
