/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions as cuDNN itself sees them: where the library is installed it plans for a device
 * that is only described, so that no GPU is needed to know that it has engines for our
 * graphs. Those that it compiles when it plans need a driver, and are left out.
 */
#include <check.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "exec/attrs.h"
#include "exec/gpu/conv/conv_plan.h"

/* What cuDNN asks of an H100. */
static const char h100[] =
	"{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"
	"\"regsPerBlock\":65536,\"multiProcessorCount\":132,\"warpSize\":32,"
	"\"maxSharedMemoryPerBlock\":49152,\"maxSharedMemoryPerBlockOptin\":232448,"
	"\"reservedSharedMemoryPerBlock\":1024,"
	"\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,"
	"\"maxThreadsPerSM\":2048,\"pciDeviceId\":0,\"isTccDriver\":0,\"supportCoopLaunch\":1,"
	"\"totalGlobalMem\":85000000000,"
	"\"smClockRateKHz\":1980000,\"memClockRateKHz\":2619000,\"l2CacheSize\":52428800,"
	"\"cudaDeviceId\":0,\"deviceVer\":900,\"driverVer\":13000,"
	"\"deviceName\":\"NVIDIA H100 80GB HBM3\"}";

/* false: the library is not there, is older than descriptions of devices, or a stand-in of it is
   in this process already. */
static bool open_library(struct dnn_target *ret)
{
	const char *fork = getenv("CK_FORK");
	void *lib = fork && strcmp(fork, "no") == 0
			    ? NULL
			    : dlopen(CUDA_LIBS "/libcudnn_graph.so.9", RTLD_NOW | RTLD_GLOBAL);
	if (!lib)
		return false;
#define X(fn) *(void **)&dnn.fn = dlsym(lib, #fn);
	DNN_FUNCTIONS(X)
#undef X
	*ret = (struct dnn_target){ 0 };
	return dnn.cudnnGetVersion && dnn.cudnnGetVersion() >= 90800 &&
	       dnn.cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR,
		       &ret->properties) == CUDNN_STATUS_SUCCESS &&
	       dnn.cudnnBackendSetAttribute(ret->properties,
		       CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, sizeof(h100) - 1,
		       h100) == CUDNN_STATUS_SUCCESS &&
	       dnn.cudnnBackendFinalize(ret->properties) == CUDNN_STATUS_SUCCESS;
}

#define EXACT_FLOATS \
	(1U << CUDNN_NUMERICAL_NOTE_TENSOR_CORE | 1U << CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS | \
		1U << CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)
#define HALVES \
	(1U << CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC | \
		1U << CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)

/* Square images, filters, strides. */
static const struct row {
	int64_t c, in, k, kernel, stride, group;
	int32_t pad_begin, pad_end, z, act, back;
} rows[] = {
	{ 3, 224, 64, 7, 2, 1, 3, 3, 0, ACT_RELU, 0 },
	{ 64, 56, 64, 1, 1, 1, 0, 0, 0, ACT_RELU, 0 },
	{ 64, 56, 64, 3, 1, 1, 1, 1, 0, ACT_RELU, 0 },
	{ 64, 56, 256, 1, 1, 1, 0, 0, 1, ACT_RELU, 0 },
	{ 64, 56, 256, 1, 1, 1, 0, 0, 0, ACT_NONE, 0 },
	{ 256, 56, 512, 1, 2, 1, 0, 0, 0, ACT_NONE, 0 },
	{ 512, 7, 2048, 1, 1, 1, 0, 0, 1, ACT_RELU, 0 },
	{ 96, 56, 96, 3, 1, 96, 1, 1, 0, ACT_RELU, 0 },
	{ 144, 56, 144, 3, 2, 144, 1, 1, 0, ACT_NONE, 0 },
	{ 128, 56, 128, 3, 1, 4, 1, 1, 0, ACT_RELU, 0 },
	{ 64, 20, 255, 1, 1, 1, 0, 0, 0, ACT_NONE, 0 },
	{ 3, 7, 5, 3, 1, 1, 1, 1, 0, ACT_NONE, 0 },
	{ 32, 56, 32, 3, 2, 1, 0, 1, 0, ACT_RELU, 0 }, /* pads as TensorFlow has them */
	{ 64, 14, 32, 2, 2, 1, 0, 0, 0, ACT_NONE, 1 },
	{ 5, 14, 3, 4, 2, 1, 1, 1, 0, ACT_NONE, 1 },
};

static struct conv_spec spec_of(const struct row *r, enum dtype dtype, bool last)
{
	struct conv_spec s = { .n = 8, .c = r->c, .k = r->k, .group = r->group, .spatial = 2,
		.dtype = (int32_t)dtype, .channels_last = last, .back = r->back, .bias = !r->back,
		.z = r->z, .act = r->act };
	for (int i = 0; i < 2; i++) {
		s.in[i] = r->in;
		s.out[i] =
			r->back ? (r->in - 1) * r->stride + r->kernel - r->pad_begin - r->pad_end
				: (r->in + r->pad_begin + r->pad_end - r->kernel) / r->stride + 1;
		s.kernel[i] = r->kernel;
		s.stride[i] = r->stride;
		s.dilation[i] = 1;
		s.pad_begin[i] = r->pad_begin;
		s.pad_end[i] = r->pad_end;
	}
	return s;
}

static void expect_plan(
	const struct dnn_target *t, const struct row *r, enum dtype dtype, bool last)
{
	struct conv_spec s = spec_of(r, dtype, last);
	struct dnn_limits limits = { (size_t)256 << 20,
		dtype == DTYPE_F32 ? EXACT_FLOATS : HALVES };
	struct dnn_plan *plan[2] = { NULL, NULL };
	struct dnn_graph g;
	struct dnn_config config;
	char text[CHOICE_NAME_MAX];
	int n;
	struct err err = { 0 };
	dnn_init(&g, t);
	conv_describe(&g, &s);
	enum err_code rc = dnn_plans(&g, &limits, 1, plan, &n, &err);
	ck_assert_msg(rc == ERR_OK, "row %d, %s, channels %s: %s", (int)(r - rows),
		dtype_name(dtype), last ? "last" : "first", err.msg);
	/* What was written down gives the same plan again. */
	dnn_config_write(dnn_plan_config(plan[0]), text, sizeof(text));
	ck_assert_msg(dnn_config_read(text, &config), "'%s'", text);
	rc = dnn_plan_as(&g, &limits, &config, &plan[1], &err);
	ck_assert_msg(rc == ERR_OK, "row %d, %s, channels %s, engine %s: %s", (int)(r - rows),
		dtype_name(dtype), last ? "last" : "first", text, err.msg);
	ck_assert_uint_eq(dnn_workspace_bytes(plan[1]), dnn_workspace_bytes(plan[0]));
	dnn_plan_free(plan[0]);
	dnn_plan_free(plan[1]);
	dnn_done(&g);
}

START_TEST(cudnn_has_engines_for_our_convolutions)
{
	struct dnn_target t;
	if (!open_library(&t)) {
		fprintf(
			stderr,
			"no cuDNN 9.8 in %s, or not a process of its own: its engines are not "
			"asked for\n", CUDA_LIBS);
		return;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect_plan(&t, &rows[i], DTYPE_F16, true);
		expect_plan(&t, &rows[i], DTYPE_BF16, true);
		expect_plan(&t, &rows[i], DTYPE_F32, false);
	}
}
END_TEST

START_TEST(a_configuration_that_was_not_written_by_us_is_none)
{
	static const char *const bad[] = { "", "x", "-1", "12 ", "12 3", "12 3=", "12 3=x",
		"12  3=4", "12 3=4;", "12 3=4 5" };
	struct dnn_config c;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!dnn_config_read(bad[i], &c), "'%s'", bad[i]);
	ck_assert(dnn_config_read("12 3=4 5=-6", &c));
	ck_assert(c.engine == 12 && c.n_knob == 2 && c.type[1] == 5 && c.value[1] == -6);
}
END_TEST

Suite *suite_gpu_plans(void);
Suite *suite_gpu_plans(void)
{
	Suite *s = suite_create("gpu_plans");
	TCase *t = tcase_create("plans");
	tcase_set_timeout(t, 300);
	tcase_add_test(t, cudnn_has_engines_for_our_convolutions);
	tcase_add_test(t, a_configuration_that_was_not_written_by_us_is_none);
	suite_add_tcase(s, t);
	return s;
}
