/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c -- signetd: a process around a server
 *
 * The main thread does nothing but wait: for signals, for the time of the next look at
 * what the server does, for the end of a drain. All else, a reload too, happens on other
 * threads: a file system that hangs must not keep it from hearing SIGTERM, nor from feeding
 * the watchdog.
 */
#include <config.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/errand.h"
#include "base/log.h"
#include "exec/op_library.h"
#include "list_ops.h"
#include "server/notify.h"
#include "server/process.h"
#include "server/server.h"
#include "server/stats.h"
#include "server/watchdog.h"
#include "signals.h"

#define EXIT_CONFIG 78 /* EX_CONFIG; the unit does not restart on it */
#define TICK_MS 100
#define TICK_SERVING_MS 500
/* While starting and stopping systemd is told to be patient, well before it loses it. */
#define EXTEND_BY_NS (30 * NS_PER_S)
#define EXTEND_EVERY_NS (5 * NS_PER_S)
/* Longer than unloading takes after the last request; a disk that hangs takes for ever. */
#define UNLOAD_MAX_NS (30 * NS_PER_S)

enum phase { PHASE_STARTING, PHASE_SERVING, PHASE_DRAINING, PHASE_STOPPING, PHASE_OVER };

struct process {
	struct arena *arena; /* of the command line */
	struct command_line line;
	struct server *server;
	struct watchdog dog;
	enum phase phase;
	int64_t stop_at_ns, stop_timeout_ns; /* from PHASE_DRAINING on */
	int64_t extend_ns;                   /* when to ask for patience again */
	int signals;          /* descriptor that brings them */
	sigset_t unblocked;   /* while waiting */
	struct errand stop, reload;
	bool reload_again;    /* asked for while one was under way */
	struct err reload_err; /* the outcome */
	char status[160];
};

/* -- before anything else -------------------------------------------------------------------- */

/*
 * A socket that became descriptor 2 would get our log. Libraries open descriptors before
 * main() does anything (gRPC's do), hence from .preinit_array, which runs before them: by
 * plain system calls, since sanitizers are not ready either.
 */
__attribute__((no_sanitize("address", "thread", "undefined"))) static void hold_standard_fds(void)
{
	for (long fd = 0; fd <= STDERR_FILENO; fd++)
		if (syscall(SYS_fcntl, fd, F_GETFD) < 0)
			(void)!syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
}

__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(void) =
	hold_standard_fds;

/* A connection is a descriptor. */
static void raise_fd_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* -- commands that only print ---------------------------------------------------------------- */

static int print(struct process *p)
{
	struct buf b = buf_of(p->arena, 0);
	struct slice text;
	struct err err;
	for (int i = 0; p->line.op_libraries[i]; i++) {
		if (op_library_load(p->line.op_libraries[i], &err) != ERR_OK) {
			log_err("op-library: %s", err.msg);
			return EXIT_CONFIG;
		}
	}
	if (p->line.command == COMMAND_VERSION)
		buf_printf(&b, "signetd %s\n", PACKAGE_VERSION);
	else if (p->line.command == COMMAND_HELP)
		command_line_help(&b);
	else if (p->line.command == COMMAND_PRINT)
		config_print(&b);
	else
		list_ops(&b);
	if (buf_finish(&b, &text, NULL) != ERR_OK ||
		fwrite(text.ptr, 1, text.len, stdout) != text.len || fflush(stdout) != 0)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

/* -- signals --------------------------------------------------------------------------------- */

static void stop_server(void *ctx)
{
	struct process *p = ctx;
	server_close(p->server, p->stop_timeout_ns);
	errand_end(&p->reload);
	server_free(p->server);
}

static void begin_stopping(struct process *p)
{
	p->phase = PHASE_STOPPING;
	errand_begin(&p->stop, "stop", stop_server, p);
}

static void on_terminate(struct process *p, int signo)
{
	if (p->phase >= PHASE_DRAINING || signo == SIGQUIT) {
		log_warning("%s: ending at once", strsignal(signo));
		_exit(EXIT_SUCCESS);
	}
	int64_t delay;
	server_drain_times(p->server, &delay, &p->stop_timeout_ns);
	log_notice("%s: draining", strsignal(signo));
	notify_send("STOPPING=1\nSTATUS=draining");
	server_drain(p->server);
	p->phase = PHASE_DRAINING;
	p->stop_at_ns = clock_after(clock_now_ns(), delay);
	p->extend_ns = 0;
}

static void reload(void *ctx)
{
	struct process *p = ctx;
	struct config *next;
	p->reload_err = (struct err){ .code = ERR_OK };
	if (config_load(&p->line, &next, &p->reload_err) == ERR_OK &&
		server_reload(p->server, next, &p->reload_err) != ERR_OK)
		config_free(next);
}

static void on_reload(struct process *p)
{
	if (p->phase >= PHASE_DRAINING)
		return;
	p->reload_again = p->reload.begun;
	if (p->reload_again) {
		log_notice("the last reload is not over yet; it is done once more then");
		return;
	}
	if (p->phase == PHASE_SERVING)
		notify_reloading();
	errand_begin(&p->reload, "reload", reload, p);
}

static void on_reloaded(struct process *p)
{
	errand_end(&p->reload);
	bool ok = p->reload_err.code == ERR_OK;
	stats_on_config(ok);
	if (ok)
		log_notice("configuration reloaded");
	else
		log_err("reload failed, the configuration stays as it was: %s", p->reload_err.msg);
	/* Before it serves, and when it ends, READY=1 would say what is not so. The next look at
	   the status would hide a failure: it is kept until that changes. */
	if (p->phase == PHASE_SERVING)
		notify_send("READY=1\nSTATUS=%s%s", ok ? p->status : "reload failed: ",
			ok ? "" : p->reload_err.msg);
	if (p->reload_again)
		on_reload(p);
}

/* One reload for any number of SIGHUP that came meanwhile; each SIGTERM counts. */
static void on_signals(struct process *p)
{
	uint8_t bytes[256];
	bool reload = false, dump = false;
	for (ssize_t n; (n = read(p->signals, bytes, sizeof(bytes))) > 0;) {
		for (ssize_t i = 0; i < n; i++) {
			reload |= bytes[i] == SIGHUP;
			dump |= bytes[i] == SIGUSR2;
			if (bytes[i] != SIGHUP && bytes[i] != SIGUSR2)
				on_terminate(p, bytes[i]);
		}
	}
	if (reload)
		on_reload(p);
	if (dump && p->phase < PHASE_STOPPING)
		server_dump(p->server);
}

/* -- time ------------------------------------------------------------------------------------ */

static void tell_status(struct process *p)
{
	char status[sizeof(p->status)];
	server_status(p->server, status, sizeof(status));
	if (strcmp(status, p->status) == 0)
		return;
	memcpy(p->status, status, sizeof(status));
	notify_send("STATUS=%s", status);
}

static void ask_for_patience(struct process *p, int64_t now)
{
	if (p->phase == PHASE_SERVING || now < p->extend_ns)
		return;
	notify_send("EXTEND_TIMEOUT_USEC=%lld", (long long)(EXTEND_BY_NS / NS_PER_US));
	p->extend_ns = now + EXTEND_EVERY_NS;
}

static void feed_watchdog(struct process *p, int64_t now)
{
	if (!watchdog_is_due(&p->dog, now))
		return;
	/* A server that is being stopped has nothing left to look at; the time that it may
	   take is bounded by itself. */
	bool stopping = p->phase >= PHASE_STOPPING;
	uint64_t progress = stopping ? p->dog.seen + 1 : server_progress(p->server);
	if (watchdog_look(&p->dog, progress, !stopping && server_is_stuck(p->server), now))
		notify_send("WATCHDOG=1");
}

static void give_up_if_late(const struct process *p, int64_t now)
{
	int64_t latest = clock_after(clock_after(p->stop_at_ns, p->stop_timeout_ns), UNLOAD_MAX_NS);
	if (p->phase != PHASE_STOPPING || now < latest)
		return;
	log_err("requests have ended, but unloading does not, as if a file system hangs: ending at "
		"once");
	_exit(EXIT_FAILURE);
}

static void on_tick(struct process *p)
{
	int64_t now = clock_now_ns();
	feed_watchdog(p, now);
	ask_for_patience(p, now);
	/* Asked first, so that the status is one of after it. */
	bool settled = p->phase == PHASE_STARTING && server_is_settled(p->server);
	if (p->phase < PHASE_DRAINING) {
		tell_status(p);
		server_tidy(p->server);
	}
	if (settled) {
		p->phase = PHASE_SERVING;
		log_notice("serving; %s", p->status);
		notify_send("READY=1\nSTATUS=%s", p->status);
	}
	if (p->phase == PHASE_DRAINING && now >= p->stop_at_ns)
		begin_stopping(p);
	give_up_if_late(p, now);
}

static void run(struct process *p)
{
	watchdog_init(&p->dog, notify_watchdog_ns(), clock_now_ns());
	while (p->phase != PHASE_OVER) {
		enum { SIGNALS, STOPPED, RELOADED, N };
		struct pollfd fds[N] = { [SIGNALS] = { .fd = p->signals, .events = POLLIN },
			[STOPPED] = { .fd = p->stop.over_fd, .events = POLLIN },
			[RELOADED] = { .fd = p->reload.over_fd, .events = POLLIN } };
		int64_t tick_ms = p->phase == PHASE_SERVING ? TICK_SERVING_MS : TICK_MS;
		struct timespec tick = { .tv_nsec = tick_ms * NS_PER_MS };
		/* While it stops, stop_server() waits for a reload that is under way. */
		int n = ppoll(fds, p->phase < PHASE_STOPPING ? N : RELOADED, &tick, &p->unblocked);
		/* A signal that ends the wait leaves revents as they were. */
		if (n > 0 && fds[RELOADED].revents)
			on_reloaded(p);
		on_signals(p);
		on_tick(p);
		if (n > 0 && fds[STOPPED].revents)
			p->phase = PHASE_OVER;
	}
}

/* -- main ------------------------------------------------------------------------------------ */

/* Takes config on ERR_OK. */
static enum err_code start(struct process *p, struct config *config, struct err *err)
{
	TRY(notify_init(err));
	process_note_start();
	raise_fd_limit();
	TRY(errand_init(&p->stop, err));
	TRY(errand_init(&p->reload, err));
	if (p->signals < 0)
		return err_set(err, ERR_UNAVAILABLE, "no pipe for signals");
	return server_start(config, &p->server, err);
}

static int serve(struct process *p, struct config *config)
{
	struct err err;
	enum err_code rc = start(p, config, &err);
	if (rc != ERR_OK) {
		log_err("cannot start: %s", err.msg);
		config_free(config);
		return rc == ERR_INVALID_ARGUMENT ? EXIT_CONFIG : EXIT_FAILURE;
	}
	stats_on_config(true);
	run(p);
	errand_end(&p->stop);
	errand_done(&p->stop);
	errand_done(&p->reload);
	log_notice("stopped");
	return EXIT_SUCCESS;
}

static void log_fault(void *ctx, const struct err *err)
{
	(void)ctx;
	log_err("%s", err->msg);
}

/* Everything that is wrong is said at once. */
static enum err_code load_config(struct process *p, struct config **ret)
{
	struct err_all all = { .tell = log_fault };
	struct err err;
	p->line.all = &all;
	enum err_code rc = config_load(&p->line, ret, &err);
	if (rc == ERR_OK && p->line.command == COMMAND_CHECK) {
		rc = server_check(*ret, &all, &err);
		config_free(*ret);
	}
	p->line.all = NULL;
	if (rc != ERR_OK && (!all.n || rc == ERR_RESOURCE_EXHAUSTED))
		log_err("%s", err.msg);
	return rc;
}

static int run_command(struct process *p)
{
	struct config *config;
	if (p->line.command != COMMAND_SERVE && p->line.command != COMMAND_CHECK)
		return print(p);
	if (load_config(p, &config) != ERR_OK)
		return EXIT_CONFIG;
	return p->line.command == COMMAND_SERVE ? serve(p, config) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct err err;
	struct process p = { .phase = PHASE_STARTING };
	p.signals = signals_take(&p.unblocked);
	p.arena = arena_new(4096, 0);
	int status = EXIT_CONFIG;
	if (!p.arena || command_line_parse(argc, argv, p.arena, &p.line, &err) != ERR_OK)
		fprintf(stderr, "signetd: %s\nTry signetd --help.\n",
			p.arena ? err.msg : "out of memory");
	else
		status = run_command(&p);
	arena_free(p.arena);
	if (p.signals >= 0)
		close(p.signals);
	return status;
}
