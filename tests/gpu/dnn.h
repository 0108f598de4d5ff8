// SPDX-License-Identifier: Apache-2.0
/*
 * dnn.h -- what the files of the stand-in cuDNN share: descriptors as plain values
 *
 * A descriptor keeps what is set on it; finalizing it checks all that and freezes it into one
 * of the structs below, which others copy. Refusals are said on stderr where the real library
 * would call them a caller's mistake, and are silent where it has just no engine.
 */
#pragma once

#include <cstdint>
#include <cudnn.h>
#include <map>
#include <memory>
#include <string>
#include <vector>
#include "gpu/stand_in.h"

namespace stand_in_dnn {

struct tensor {
	int64_t id = 0, align = 0;
	cudnnDataType_t type = CUDNN_DATA_FLOAT;
	std::vector<int64_t> dim = {}, stride = {};
	bool is_virtual = false, by_value = false;

	size_t count() const;
	size_t bytes() const; /* from the first element to behind the last */
	bool channels_last() const, channels_first() const;
};

struct windows {
	std::vector<int64_t> stride = {}, dilation = {}, pad_begin = {}, pad_end = {};
};

struct function {
	cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
	double low = 0, high = 1e300, slope = 0, beta = 1;
};

enum class kind { convolve, convolve_back, apply, multiply, reduce };

struct operation {
	kind what;
	tensor x = {}, b = {}, y = {}; /* b: the filters, the second operand */
	bool has_b = false;
	windows w = {};
	function f = {};
	cudnnReduceTensorOp_t reduction = CUDNN_REDUCE_TENSOR_ADD;
	double alpha = 1, beta = 0;
};

/* One way to compute a graph. */
struct engine {
	int64_t index = 0, tile = 0; /* what it is known by; where its one knob stands */
	int64_t workspace = 0;
	std::vector<cudnnBackendNumericalNote_t> notes = {};
	bool finalizes = true;
	bool compiles = false; /* when its plan is made */
};

struct value {
	cudnnBackendAttributeType_t type;
	int64_t count;
	std::vector<char> bytes;
};

struct descriptor {
	cudnnBackendDescriptorType_t type;
	bool final = false;
	std::map<int, value> set = {};
	/* What it is, by its type. */
	tensor t = {};
	windows w = {};
	function f = {};
	cudnnReduceTensorOp_t reduction = CUDNN_REDUCE_TENSOR_ADD;
	std::vector<operation> ops = {};
	engine e = {};
	cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
	int64_t knob = 0; /* how it stands */
	std::vector<int64_t> ids = {};
	std::vector<void *> at = {};
	void *workspace = nullptr;
};

/* Says it and returns it. */
cudnnStatus_t refuse(cudnnStatus_t s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

size_t bytes_of(cudnnDataType_t t); /* 0: none that is known here */

/* dnn_check.cc: is what was set on it right? */
cudnnStatus_t check_attribute(
	const descriptor &d, int name, cudnnBackendAttributeType_t type, int64_t n, const void *v);
cudnnStatus_t freeze(descriptor &d);

/* dnn_engine.cc */
std::vector<engine> engines_for(const std::vector<operation> &ops, cudnnBackendHeurMode_t mode);
constexpr int64_t TILES = 4; /* that a knob may choose of */
extern const cudnnBackendKnobType_t TILE_KNOB;
cudnnStatus_t execute(const descriptor &plan, const descriptor &pack, CUstream stream);

} // namespace stand_in_dnn
