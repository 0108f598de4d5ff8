/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/cpu/matmul/blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

static struct blas blas;

static void open_once(void)
{
	void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return;
	__typeof__(&openblas_set_num_threads) set_num_threads =
		dlsym(lib, "openblas_set_num_threads");
	int (*thread_shutdown)(void) = dlsym(lib, "blas_thread_shutdown_");
	struct blas found = {
		.dgemm = dlsym(lib, "cblas_dgemm"), .dgemv = dlsym(lib, "cblas_dgemv")};
	if (!set_num_threads || !found.dgemm || !found.dgemv)
		return;
	/* It started one for each core when it was opened. */
	set_num_threads(1);
	if (thread_shutdown)
		thread_shutdown();
	blas = found;
}

const struct blas *blas_open(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, open_once);
	return blas.dgemm ? &blas : NULL;
}
