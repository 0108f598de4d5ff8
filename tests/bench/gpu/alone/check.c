/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

struct check_test check_tests[CHECK_TESTS_MAX];
int check_n;
const char *check_suite;
jmp_buf check_out;
char check_message[1024];
const char *check_file;
int check_line;

SRunner *srunner_create(const Suite *s)
{
	static SRunner r;
	(void)s;
	return &r;
}

static bool run_here(const struct check_test *t, int i)
{
	if (setjmp(check_out) == 0) {
		if (t->before)
			t->before();
		t->run(i);
		return true;
	}
	printf("%s:%d:F:%s:%s:%d: %s\n", check_file, check_line, t->test_case, t->name, i,
		check_message);
	fflush(stdout);
	return false;
}

/* In a process of its own, so that what a test leaves behind is gone with it. */
static bool run_apart(const struct check_test *t, int i)
{
	int status = 0;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		exit(run_here(t, i) ? 0 : 1);
	if (child < 0 || waitpid(child, &status, 0) != child)
		abort();
	if (WIFSIGNALED(status))
		printf("%s:0:E:%s:%s:%d: signal %d\n", t->suite, t->test_case, t->name, i,
			WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void srunner_run_all(SRunner *r, enum print_output how)
{
	const char *suite = getenv("CK_RUN_SUITE"), *forks = getenv("CK_FORK");
	bool apart = !forks || strcmp(forks, "no") != 0;
	(void)how;
	for (int k = 0; k < check_n; k++)
		for (int i = check_tests[k].from; i < check_tests[k].to; i++) {
			const struct check_test *t = &check_tests[k];
			if (suite && strcmp(suite, t->suite) != 0)
				continue;
			r->run++;
			r->failed += !(apart ? run_apart : run_here)(t, i);
		}
	printf("%d%%: Checks: %d, Failures: %d, Errors: 0\n",
		r->run ? 100 * (r->run - r->failed) / r->run : 100, r->run, r->failed);
}
