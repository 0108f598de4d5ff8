/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays the scripts of tests/scenario/lifecycle: a disk, loads that end when the script says
 * so, and a clock that only the script moves. One command a line; # begins a comment.
 *
 *   config latest N | all | specific N | explicit | label NAME N | no_labels | break POLICY |
 *          memory BYTES | batch N  takes effect with `reload` (or the first scan)
 *   add M/V          files that have been there for long
 *   copy M/V         files that are being written now
 *   rename M/V       files that are renamed in
 *   write M/V        changes files in place
 *   replace M/V      other files under the same name
 *   remove M/V | deny M/V | allow M/V | root gone | root back
 *   lowest N         scans look at no versions below
 *   options M N | wrong | none      the model's own file, there for long: its max_batch is N; it
 *                    is wrong; it goes. writes_options: the same, being written now
 *   time MS          the clock goes on, then the disk is scanned
 *   loaded M/V       a load ends well; fails M/V CODE: badly; breaking M/V: well, but with
 *                    another interface
 *   gone M/V         the last request of a draining version is answered, the reaper is done
 *   want M | drop M | reload | stop
 *   state M/V STATE | none          what the registry shows
 *   loads M/V N      its load in progress has max_batch N
 *   reason M/V TEXT | none          why it failed, or serves with older options
 *   answers M[:LABEL] V | CODE      whom a request gets
 *   moves TEXT       every move since the last `moves`: "m/1 loading, m/1 ready"
 *   cancelled M/V    its load was told to stop
 *   settled yes|no   is anything still under way?
 */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "loader/repo/layout.h"
#include "loader/repo/lifecycle.h"
#include "support/tempdir.h"

#define FILES_MAX 16
#define WALL_MS INT64_C(1000000000)

struct disk_file {
	char model[32];
	struct scan_version v;
};

static struct play {
	const char *script;
	int line;
	struct arena *arena;
	struct lifecycle *lc;
	struct registry *registry;
	struct inbox inbox;
	struct model_conf defaults;
	struct model_label label[4];
	int64_t specific[4];
	bool explicit_only;
	size_t memory;
	struct disk_file file[FILES_MAX];
	int n_file;
	bool root_gone;
	int64_t lowest;
	struct tempdir dir; /* for the models' own files */
	struct own_file {
		char model[32];
		struct scan_conf_file file;
	} own[FILES_MAX];
	int n_own;
	uint64_t next_ino;
	int64_t now_ns;
	struct load *load[FILES_MAX];
	struct version *dead[FILES_MAX];
	char moves[1024];
} p;

#define WANT(cond, ...) \
	do { \
		char text_[2400]; \
		snprintf(text_, sizeof(text_), __VA_ARGS__); \
		ck_assert_msg(cond, "%s:%d: %s", p.script, p.line, text_); \
	} while (0)

/* -- what the lifecycle calls ---------------------------------------------------------------- */

static void on_load(void *ctx, struct load *l)
{
	(void)ctx;
	for (int i = 0; i < FILES_MAX; i++)
		if (!p.load[i]) {
			p.load[i] = l;
			return;
		}
	ck_abort_msg("too many loads");
}

static void on_last_release(struct version *v)
{
	for (int i = 0; i < FILES_MAX; i++)
		if (!p.dead[i]) {
			p.dead[i] = v;
			return;
		}
	ck_abort_msg("too many dead versions");
}

static void on_adopt(void *ctx, struct version *v, struct instance *x)
{
	(void)ctx;
	v->on_last_release = on_last_release;
	v->owner = x;
}

static enum err_code on_configure(void *ctx, const char *model, struct slice text,
	struct arena *arena, struct model_conf *ret, struct err *err)
{
	(void)ctx, (void)model, (void)arena;
	if (slice_is(text, "wrong"))
		return err_set(err, ERR_INVALID_ARGUMENT, "model.conf:1: wrong");
	*ret = p.defaults;
	ret->max_batch = atoi(text.ptr);
	return ERR_OK;
}

/* Whoever asks by a label whose version answers is not sent to one that does so no more. */
static void check_labels(const char *model)
{
	struct version *v;
	struct err err;
	for (int i = 0; i < p.defaults.n_labels; i++) {
		struct version_spec number = { .pick = VERSION_PICK_NUMBER,
			.number = p.label[i].number };
		struct version_spec label = { .pick = VERSION_PICK_LABEL,
			.label = slice_of(p.label[i].name) };
		if (registry_acquire(p.registry, slice_of(model), &number, &v, &err) != ERR_OK)
			continue;
		version_release(v);
		enum err_code rc = registry_acquire(p.registry, slice_of(model), &label, &v, &err);
		WANT(rc != ERR_UNAVAILABLE, "label %s: %s", p.label[i].name, err.msg);
		if (rc == ERR_OK)
			version_release(v);
	}
}

static void on_state(void *ctx, const char *model, int64_t number, enum version_state s,
	const struct err *why)
{
	(void)ctx;
	check_labels(model);
	ck_assert((s == VERSION_FAILED) == (why != NULL));
	size_t n = strlen(p.moves);
	snprintf(p.moves + n, sizeof(p.moves) - n, "%s%s/%lld %s", n ? ", " : "", model,
		(long long)number, version_state_info(s)->text);
}

/* -- the disk -------------------------------------------------------------------------------- */

static struct disk_file *find_file(const char *name)
{
	for (int i = 0; i < p.n_file; i++) {
		char is[64];
		snprintf(is, sizeof(is), "%s/%lld", p.file[i].model, (long long)p.file[i].v.number);
		if (strcmp(is, name) == 0)
			return &p.file[i];
	}
	return NULL;
}

static struct disk_file *the_file(const char *name)
{
	struct disk_file *f = find_file(name);
	WANT(f, "no file %s", name);
	return f;
}

static void put_file(const char *name, int64_t changed_ms, bool moved_in)
{
	struct disk_file *f = find_file(name);
	if (!f) {
		ck_assert_int_lt(p.n_file, FILES_MAX);
		f = &p.file[p.n_file++];
	}
	*f = (struct disk_file){ .v = { .dir = "dir",
					 .file = "model.onnx",
					 .changed_ms = changed_ms,
					 .moved_in = moved_in,
					 .bytes = 10 } };
	ck_assert_int_eq(sscanf(name, "%31[^/]/%ld", f->model, (long *)&f->v.number), 2);
	f->v.id.file_ino = f->v.stamp = ++p.next_ino;
}

static int64_t wall_ms(void)
{
	return WALL_MS + p.now_ns / NS_PER_MS;
}

static struct own_file *find_own(const char *model)
{
	for (int i = 0; i < p.n_own; i++)
		if (strcmp(p.own[i].model, model) == 0)
			return &p.own[i];
	return NULL;
}

static void put_own(const char *model, const char *text, int64_t changed_ms)
{
	char path[64];
	struct own_file *own = find_own(model);
	snprintf(path, sizeof(path), "%s/" LAYOUT_CONF, model);
	tempdir_put_str(&p.dir, path, text);
	if (!own) {
		own = &p.own[p.n_own++];
		strcpy(own->model, model);
	}
	own->file = (struct scan_conf_file){ .changed_ms = changed_ms };
	if (strcmp(text, "none") != 0)
		own->file.stamp = ++p.next_ino;
}

static int by_model_then_number(const void *a, const void *b)
{
	const struct disk_file *x = a, *y = b;
	int diff = strcmp(x->model, y->model);
	return diff ? diff : (x->v.number < y->v.number) - (x->v.number > y->v.number);
}

/* Only what is on the disk now; a model directory stays when its versions go. */
static void scan_disk(void)
{
	static char models[FILES_MAX][32];
	static int n_models;
	struct scan scan = { .incomplete = p.root_gone };
	struct scan_model model[FILES_MAX] = { { 0 } };
	struct scan_version version[FILES_MAX];
	int n = 0;
	if (p.next_ino == 0)
		n_models = 0;
	qsort(p.file, (size_t)p.n_file, sizeof(*p.file), by_model_then_number);
	for (int i = 0; i < p.n_file; i++) {
		int k = 0;
		while (k < n_models && strcmp(models[k], p.file[i].model) != 0)
			k++;
		if (k == n_models)
			strcpy(models[n_models++], p.file[i].model);
	}
	scan.model = model;
	for (int k = 0; k < n_models && !p.root_gone; k++) {
		struct scan_model *m = &model[scan.n_model++];
		const struct own_file *own = find_own(models[k]);
		*m = (struct scan_model){ .name = models[k], .version = &version[n],
			.lowest = p.lowest };
		m->dir = arena_printf(p.arena, "%s/%s", p.dir.path, models[k]);
		if (own)
			m->conf = own->file;
		for (int i = 0; i < p.n_file; i++)
			if (strcmp(p.file[i].model, models[k]) == 0 &&
				p.file[i].v.number >= p.lowest) {
				version[n++] = p.file[i].v;
				m->n_version++;
			}
	}
	scan.n_root_models = scan.n_model;
	lifecycle_saw(p.lc, &scan, p.now_ns, wall_ms());
	for (int i = 0; i < p.n_file; i++)
		p.file[i].v.moved_in = false;
}

/* -- loads and versions ---------------------------------------------------------------------- */

static struct version *new_version(const struct load *l, bool breaking)
{
	static struct signature_io in[2] = { { .name = "x", .type.dtype = DTYPE_F32 },
		{ .name = "y", .type.dtype = DTYPE_F32 } };
	struct arena *arena = arena_new(1024, 0);
	struct version *v = calloc(1, sizeof(*v));
	v->arena = arena;
	v->model = arena_strdup(arena, l->model);
	v->number = l->from.number;
	v->sig = ARENA_NEW(arena, struct signature);
	v->n_sig = 1;
	*v->sig = (struct signature){ .name = SIGNATURE_DEFAULT,
		.in = breaking ? in + 1 : in,
		.n_in = 1,
		.batchable = true };
	v->memory_bytes = 100;
	atomic_init(&v->refs, 1);
	atomic_init(&v->state, VERSION_WARMING);
	return v;
}

static struct load *take_load(const char *name)
{
	for (int i = 0; i < FILES_MAX; i++) {
		char is[64];
		struct load *l = p.load[i];
		if (!l)
			continue;
		snprintf(is, sizeof(is), "%s/%lld", l->model, (long long)l->from.number);
		if (strcmp(is, name) != 0)
			continue;
		p.load[i] = NULL;
		return l;
	}
	WANT(false, "nothing loads %s", name);
	return NULL;
}

static void put_load_back(struct load *l)
{
	on_load(NULL, l);
}

static enum err_code code_named(const char *name)
{
	for (enum err_code c = 0; c <= ERR_UNAUTHENTICATED; c++)
		if (strcmp(err_name(c), name) == 0)
			return c;
	WANT(false, "no code %s", name);
	return ERR_UNKNOWN;
}

static void end_load(const char *name, const char *code, bool breaking)
{
	struct load *l = take_load(name);
	atomic_store(&l->progress, VERSION_COMPILING);
	if (code)
		err_set(&l->err, code_named(code), "it is %s", code);
	else
		l->version = new_version(l, breaking);
	lifecycle_loaded(p.lc, l, p.now_ns);
}

static void end_version(const char *name)
{
	for (int i = 0; i < FILES_MAX; i++) {
		char is[64];
		struct version *v = p.dead[i];
		if (!v)
			continue;
		snprintf(is, sizeof(is), "%s/%lld", v->model, (long long)v->number);
		if (strcmp(is, name) != 0)
			continue;
		p.dead[i] = NULL;
		struct instance *x = v->owner;
		version_free(v);
		lifecycle_gone(p.lc, x);
		return;
	}
	WANT(false, "nobody has released %s", name);
}

/* -- looking --------------------------------------------------------------------------------- */

/* NULL: the registry does not show it. */
static const struct version_status *status_of(const char *name)
{
	struct version_status *row;
	struct err err;
	int n;
	arena_reset(p.arena, SIZE_MAX);
	ck_assert_int_eq(registry_list(p.registry, NULL, p.arena, &row, &n, &err), ERR_OK);
	for (int i = 0; i < n; i++) {
		char at[64];
		snprintf(at, sizeof(at), "%s/%lld", row[i].model, (long long)row[i].number);
		if (strcmp(at, name) == 0)
			return &row[i];
	}
	return NULL;
}

static void check_state(const char *name, const char *want)
{
	const struct version_status *row = status_of(name);
	const char *is = row ? version_state_info(row->state)->text : "none";
	WANT(strcmp(is, want) == 0, "%s is %s, not %s", name, is, want);
}

static void check_reason(const char *name, const char *want)
{
	const struct version_status *row = status_of(name);
	const char *is = row && *row->reason ? row->reason : "none";
	WANT(strcmp(is, want) == 0, "the reason of %s is '%s', not '%s'", name, is, want);
}

static void check_answer(char *name, const char *want)
{
	struct version *v;
	struct err err;
	struct version_spec spec = { .pick = VERSION_PICK_LATEST };
	char is[64], *colon = strchr(name, ':');
	if (colon) {
		*colon = 0;
		spec = (struct version_spec){ .pick = VERSION_PICK_LABEL,
			.label = slice_of(colon + 1) };
	}
	enum err_code rc = registry_acquire(p.registry, slice_of(name), &spec, &v, &err);
	snprintf(is, sizeof(is), "%s", err_name(rc));
	if (rc == ERR_OK) {
		snprintf(is, sizeof(is), "%lld", (long long)v->number);
		ck_assert_int_eq(atomic_load(&v->state), VERSION_READY);
		version_release(v);
	}
	WANT(strcmp(is, want) == 0, "%s answers %s, not %s", name, is, want);
}

/* -- commands -------------------------------------------------------------------------------- */

static struct settings *new_conf(void)
{
	static const char *const roots[] = { "root", NULL };
	struct repo_conf c = { .roots = roots,
		.defaults = p.defaults,
		.explicit_only = p.explicit_only,
		.settle_ms = 1000,
		.retry_ms = 5000,
		.memory_bytes_max = p.memory };
	struct settings *conf;
	struct err err;
	ck_assert_int_eq(settings_new(&c, &conf, &err), ERR_OK);
	return conf;
}

static void configure(const char *what, const char *a, const char *b)
{
	if (strcmp(what, "latest") == 0) {
		p.defaults.policy = POLICY_LATEST;
		p.defaults.latest_n = atoi(a);
	} else if (strcmp(what, "all") == 0) {
		p.defaults.policy = POLICY_ALL;
	} else if (strcmp(what, "specific") == 0) {
		p.defaults.policy = POLICY_SPECIFIC;
		p.specific[0] = atoi(a);
		p.defaults.versions = p.specific;
		p.defaults.n_versions = 1;
	} else if (strcmp(what, "explicit") == 0) {
		p.explicit_only = true;
	} else if (strcmp(what, "label") == 0) {
		p.label[p.defaults.n_labels++] =
			(struct model_label){ arena_strdup(p.arena, a), atoi(b) };
		p.defaults.labels = p.label;
	} else if (strcmp(what, "no_labels") == 0) {
		p.defaults.n_labels = 0;
	} else if (strcmp(what, "break") == 0) {
		p.defaults.on_break = strcmp(a, "refuse") == 0 ? "refuse" : "warn";
	} else if (strcmp(what, "batch") == 0) {
		p.defaults.max_batch = atoi(a);
	} else if (strcmp(what, "memory") == 0) {
		p.memory = (size_t)atoi(a);
	} else {
		WANT(false, "config %s?", what);
	}
}

static void begin(void)
{
	struct err err;
	struct lifecycle_ops ops = {
		.load = on_load, .adopt = on_adopt, .hooks.on_state = on_state,
		.hooks.on_configure = on_configure
	};
	if (!p.lc)
		ck_assert_int_eq(
			lifecycle_new(p.registry, &p.inbox, &ops, new_conf(), &p.lc, &err), ERR_OK);
}

static bool change_disk(const char *verb, const char *name)
{
	if (strcmp(verb, "add") == 0)
		put_file(name, 1, false);
	else if (strcmp(verb, "copy") == 0)
		put_file(name, wall_ms(), false);
	else if (strcmp(verb, "rename") == 0)
		put_file(name, wall_ms(), true);
	else if (strcmp(verb, "replace") == 0)
		put_file(name, 1, false);
	else
		return false;
	return true;
}

static bool change_file(const char *verb, const char *name, const char *text)
{
	if (strcmp(verb, "options") == 0) {
		put_own(name, text, 1);
	} else if (strcmp(verb, "writes_options") == 0) {
		put_own(name, text, wall_ms());
	} else if (strcmp(verb, "write") == 0) {
		the_file(name)->v.stamp = ++p.next_ino;
		the_file(name)->v.changed_ms = wall_ms();
	} else if (strcmp(verb, "remove") == 0) {
		struct disk_file *f = the_file(name);
		*f = p.file[--p.n_file];
	} else if (strcmp(verb, "deny") == 0) {
		the_file(name)->v.code = ERR_PERMISSION_DENIED;
		the_file(name)->v.reason = "model.onnx: Permission denied";
	} else if (strcmp(verb, "allow") == 0) {
		the_file(name)->v.code = ERR_OK;
	} else if (strcmp(verb, "root") == 0) {
		p.root_gone = strcmp(name, "gone") == 0;
	} else if (strcmp(verb, "lowest") == 0) {
		p.lowest = atoi(name);
	} else {
		return false;
	}
	return true;
}

static void end_of(const char *verb, char *a, const char *b)
{
	if (strcmp(verb, "loaded") == 0)
		end_load(a, NULL, false);
	else if (strcmp(verb, "breaking") == 0)
		end_load(a, NULL, true);
	else if (strcmp(verb, "fails") == 0)
		end_load(a, b, false);
	else if (strcmp(verb, "gone") == 0)
		end_version(a);
	else
		WANT(false, "%s?", verb);
}

static bool order(const char *verb, const char *a)
{
	struct err err;
	if (strcmp(verb, "time") == 0) {
		p.now_ns += atoi(a) * NS_PER_MS;
		scan_disk();
	} else if (strcmp(verb, "want") == 0) {
		ck_assert_int_eq(lifecycle_want_model(p.lc, slice_of(a), p.now_ns, &err), ERR_OK);
	} else if (strcmp(verb, "drop") == 0) {
		ck_assert_int_eq(lifecycle_drop_model(p.lc, slice_of(a), &err), ERR_OK);
	} else if (strcmp(verb, "reload") == 0) {
		lifecycle_configure(p.lc, new_conf(), p.now_ns);
	} else if (strcmp(verb, "stop") == 0) {
		lifecycle_drop_all(p.lc);
	} else {
		return false;
	}
	return true;
}

static bool expectation(const char *verb, char *a, const char *b, const char *rest)
{
	if (strcmp(verb, "state") == 0) {
		check_state(a, b);
	} else if (strcmp(verb, "answers") == 0) {
		check_answer(a, b);
	} else if (strcmp(verb, "moves") == 0) {
		WANT(strcmp(p.moves, rest) == 0, "moves were '%s', not '%s'", p.moves, rest);
		p.moves[0] = 0;
	} else if (strcmp(verb, "reason") == 0) {
		check_reason(a, strchr(rest, ' ') + 1);
	} else if (strcmp(verb, "loads") == 0) {
		struct load *l = take_load(a);
		WANT(l->vc.max_batch == atoi(b), "%s is loaded with max_batch %d", a,
			l->vc.max_batch);
		put_load_back(l);
	} else if (strcmp(verb, "cancelled") == 0) {
		struct load *l = take_load(a);
		WANT(atomic_load(&l->cancel), "%s was not cancelled", a);
		put_load_back(l);
	} else if (strcmp(verb, "settled") == 0) {
		bool yes = strcmp(a, "yes") == 0;
		WANT(models_all_settled(lifecycle_models(p.lc)) == yes, "settled is not %s", a);
	} else {
		return false;
	}
	return true;
}

static void play_line(char *line)
{
	char verb[20] = "", a[64] = "", b[64] = "", c[64] = "";
	line[strcspn(line, "#\n")] = 0;
	for (size_t n = strlen(line); n && line[n - 1] == ' '; n--)
		line[n - 1] = 0;
	if (sscanf(line, "%19s %63s %63s %63s", verb, a, b, c) < 1)
		return;
	const char *rest = line + strlen(verb) + (line[strlen(verb)] == ' ');
	if (strcmp(verb, "config") == 0) {
		configure(a, b, c);
		return;
	}
	begin();
	if (change_file(verb, a, b) || change_disk(verb, a))
		return;
	if (expectation(verb, a, b, rest))
		return;
	if (!order(verb, a))
		end_of(verb, a, b);
	lifecycle_step(p.lc, p.now_ns);
}

/* Whatever the script left is put away, and has to go without a trace. */
static void finish(void)
{
	lifecycle_drop_all(p.lc);
	lifecycle_step(p.lc, p.now_ns);
	for (int i = 0; i < FILES_MAX; i++)
		if (p.load[i]) {
			struct load *l = p.load[i];
			p.load[i] = NULL;
			WANT(atomic_load(&l->cancel), "a load goes on after the stop");
			err_set(&l->err, ERR_CANCELLED, "stopped");
			lifecycle_loaded(p.lc, l, p.now_ns);
		}
	for (int i = 0; i < FILES_MAX; i++)
		if (p.dead[i]) {
			struct instance *x = p.dead[i]->owner;
			version_free(p.dead[i]);
			p.dead[i] = NULL;
			lifecycle_gone(p.lc, x);
		}
	WANT(models_all_gone(lifecycle_models(p.lc)), "something is left after the stop");
	lifecycle_free(p.lc);
	registry_free(p.registry);
	inbox_done(&p.inbox);
	arena_free(p.arena);
	tempdir_free(&p.dir);
}

static const char *const scripts[] = {
#define SCENARIO(name) #name,
#include "scenario/lifecycle.list"
#undef SCENARIO
};

START_TEST(scenario)
{
	char path[512], line[256];
	struct err err;
	snprintf(path, sizeof(path), SRCDIR "/tests/scenario/lifecycle/%s.scn", scripts[_i]);
	FILE *f = fopen(path, "r");
	ck_assert_msg(f, "%s", path);
	p = (struct play){ .script = scripts[_i], .arena = arena_new(4096, 0), .dir = tempdir_new(),
		.defaults = { .latest_n = 1 }, .now_ns = NS_PER_S };
	log_set_level(LOG_LEVEL_ERR - 1);
	ck_assert_int_eq(registry_new(&p.registry, &err), ERR_OK);
	ck_assert_int_eq(inbox_init(&p.inbox, &err), ERR_OK);
	while (fgets(line, sizeof(line), f)) {
		p.line++;
		play_line(line);
	}
	fclose(f);
	finish();
}
END_TEST

/* A script that nobody lists would never be played. */
START_TEST(every_script_is_listed)
{
	int n = 0;
	DIR *dir = opendir(SRCDIR "/tests/scenario/lifecycle");
	ck_assert_ptr_nonnull(dir);
	for (const struct dirent *e; (e = readdir(dir));)
		n += strstr(e->d_name, ".scn") != NULL;
	closedir(dir);
	ck_assert_int_eq(n, (int)(sizeof(scripts) / sizeof(*scripts)));
}
END_TEST

Suite *suite_lifecycle(void);
Suite *suite_lifecycle(void)
{
	Suite *s = suite_create("lifecycle");
	TCase *t = tcase_create("scenarios");
	tcase_add_loop_test(t, scenario, 0, (int)(sizeof(scripts) / sizeof(*scripts)));
	tcase_add_test(t, every_script_is_listed);
	suite_add_tcase(s, t);
	return s;
}
