// SPDX-License-Identifier: Apache-2.0
/*
 * dnn.cc -- cuDNN's backend graph API on the host: the library's functions
 */
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include "gpu/dnn.h"

using namespace stand_in_dnn;

struct cudnnContext {
	CUstream stream = nullptr;
};

namespace {
thread_local std::string last_error;
}

cudnnStatus_t stand_in_dnn::refuse(cudnnStatus_t s, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	last_error = text;
	if (CUDNN_STATUS_CATEGORY(s) != CUDNN_STATUS_NOT_SUPPORTED)
		fprintf(stderr, "stand-in cuDNN: %s\n", text);
	return s;
}

static descriptor *of(cudnnBackendDescriptor_t d)
{
	return static_cast<descriptor *>(d);
}

/* -- handles -------------------------------------------------------------------------------------- */

cudnnStatus_t cudnnCreate(cudnnHandle_t *ret)
{
	*ret = new cudnnContext;
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t h)
{
	delete h;
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t s)
{
	h->stream = s;
	return CUDNN_STATUS_SUCCESS;
}

size_t cudnnGetVersion(void)
{
	return CUDNN_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t s)
{
	return s == CUDNN_STATUS_SUCCESS ? "success"
	       : CUDNN_STATUS_CATEGORY(s) == CUDNN_STATUS_NOT_SUPPORTED ? "not supported" : "bad parameter";
}

void cudnnGetLastErrorString(char *to, size_t size)
{
	snprintf(to, size, "%s", last_error.c_str());
}

/* How many times this process asked for engines: tests that want to know look it up. */
extern "C" long stand_in_dnn_questions;
long stand_in_dnn_questions;
/* How many engines it compiled. */
extern "C" long stand_in_dnn_compiled;
long stand_in_dnn_compiled;

/* -- descriptors ------------------------------------------------------------------------------------ */

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *ret)
{
	*ret = new descriptor{ .type = type };
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d)
{
	delete of(d);
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t to, cudnnBackendAttributeName_t name,
	cudnnBackendAttributeType_t type, int64_t n, const void *v)
{
	descriptor &d = *of(to);
	cudnnStatus_t s = check_attribute(d, name, type, n, v);
	if (s != CUDNN_STATUS_SUCCESS)
		return s;
	static const std::map<int, size_t> sizes = { { CUDNN_TYPE_BOOLEAN, 1 }, { CUDNN_TYPE_INT64, 8 },
		{ CUDNN_TYPE_DOUBLE, 8 }, { CUDNN_TYPE_VOID_PTR, 8 }, { CUDNN_TYPE_BACKEND_DESCRIPTOR, 8 },
		{ CUDNN_TYPE_HANDLE, 8 } };
	auto size = sizes.find(type);
	size_t bytes = (size_t)n * (size == sizes.end() ? 4 : size->second);
	const char *from = static_cast<const char *>(v);
	d.set[name] = { type, n, std::vector<char>(from, from + bytes) };
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d)
{
	if (of(d)->final)
		return refuse(CUDNN_STATUS_BAD_PARAM, "descriptor %d is finalized already", of(d)->type);
	cudnnStatus_t s = freeze(*of(d));
	of(d)->final = s == CUDNN_STATUS_SUCCESS;
	stand_in_dnn_compiled += of(d)->final && of(d)->type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR && of(d)->e.compiles;
	return s;
}

/* -- asking ------------------------------------------------------------------------------------------ */

static cudnnStatus_t get_results(const descriptor &d, int64_t room, int64_t *ret_n, cudnnBackendDescriptor_t *to)
{
	std::vector<engine> all = engines_for(d.ops, d.mode);
	*ret_n = 0;
	stand_in_dnn_questions++;
	for (const engine &e : all) {
		if (*ret_n == room)
			break;
		descriptor &config = *of(to[(*ret_n)++]);
		if (config.type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR || config.final)
			return refuse(CUDNN_STATUS_BAD_PARAM, "results go to new engine configurations");
		config.e = e;
		config.ops = d.ops;
		config.final = true;
	}
	return CUDNN_STATUS_SUCCESS;
}

/* The one knob of a configuration. */
static cudnnStatus_t get_knobs(const descriptor &d, int64_t room, int64_t *ret_n, cudnnBackendDescriptor_t *to)
{
	if (room < 1 || of(to[0])->type != CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR || of(to[0])->final)
		return refuse(CUDNN_STATUS_BAD_PARAM, "knobs go to new choices of knobs");
	of(to[0])->knob = d.e.tile;
	of(to[0])->final = true;
	*ret_n = 1;
	return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t from, cudnnBackendAttributeName_t name,
	cudnnBackendAttributeType_t type, int64_t room, int64_t *ret_n, void *to)
{
	const descriptor &d = *of(from);
	if (!d.final)
		return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "attribute %d of what is not finalized", name);
	*ret_n = 1;
	if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS && type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
		return get_results(d, room, ret_n, static_cast<cudnnBackendDescriptor_t *>(to));
	if (name == CUDNN_ATTR_ENGINECFG_ENGINE && type == CUDNN_TYPE_BACKEND_DESCRIPTOR && room == 1) {
		descriptor &engine = *of(*static_cast<cudnnBackendDescriptor_t *>(to));
		engine.e = d.e;
		engine.final = true;
		return CUDNN_STATUS_SUCCESS;
	}
	if (name == CUDNN_ATTR_ENGINECFG_KNOB_CHOICES && type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
		return get_knobs(d, room, ret_n, static_cast<cudnnBackendDescriptor_t *>(to));
	if (name == CUDNN_ATTR_ENGINE_GLOBAL_INDEX && type == CUDNN_TYPE_INT64 && room == 1) {
		*static_cast<int64_t *>(to) = d.e.index;
		return CUDNN_STATUS_SUCCESS;
	}
	if (name == CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE && type == CUDNN_TYPE_KNOB_TYPE && room == 1) {
		*static_cast<cudnnBackendKnobType_t *>(to) = TILE_KNOB;
		return CUDNN_STATUS_SUCCESS;
	}
	if (name == CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE && type == CUDNN_TYPE_INT64 && room == 1) {
		*static_cast<int64_t *>(to) = d.knob;
		return CUDNN_STATUS_SUCCESS;
	}
	if (name == CUDNN_ATTR_ENGINE_NUMERICAL_NOTE && type == CUDNN_TYPE_NUMERICAL_NOTE) {
		*ret_n = std::min<int64_t>(room, (int64_t)d.e.notes.size());
		std::copy_n(d.e.notes.begin(), *ret_n, static_cast<cudnnBackendNumericalNote_t *>(to));
		return CUDNN_STATUS_SUCCESS;
	}
	if (name == CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE && type == CUDNN_TYPE_BEHAVIOR_NOTE) {
		*ret_n = std::min<int64_t>(room, d.e.compiles);
		if (*ret_n)
			*static_cast<cudnnBackendBehaviorNote_t *>(to) = CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
		return CUDNN_STATUS_SUCCESS;
	}
	if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE && type == CUDNN_TYPE_INT64 && room == 1) {
		*static_cast<int64_t *>(to) = d.e.workspace;
		return CUDNN_STATUS_SUCCESS;
	}
	return refuse(CUDNN_STATUS_BAD_PARAM, "attribute %d cannot be asked for here", name);
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t h, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack)
{
	if (!h || !of(plan)->final || !of(pack)->final || of(plan)->type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ||
		of(pack)->type != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
		return refuse(CUDNN_STATUS_BAD_PARAM, "what is executed is a finalized plan, with a finalized variant pack");
	return execute(*of(plan), *of(pack), h->stream);
}
