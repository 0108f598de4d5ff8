/* SPDX-License-Identifier: Apache-2.0 */
/* The main of every unit test program: runs the suites that its list names. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define SUITE(stem) Suite *suite_##stem(void);
#include SUITES
#undef SUITE

/* Of a single test, in which a busy machine or a sanitizer may be slow. Only one that hangs takes
   as long. */
#define TIMEOUT_S "120"

int main(void)
{
	setenv("CK_DEFAULT_TIMEOUT", TIMEOUT_S, 0); /* before the suites are made */
	SRunner *runner = srunner_create(NULL);
#define SUITE(stem) srunner_add_suite(runner, suite_##stem());
#include SUITES
#undef SUITE
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	printf("%d passed, %d failed, 0 skipped\n", srunner_ntests_run(runner) - failed, failed);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
