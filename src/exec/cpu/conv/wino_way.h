/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wino_way.h -- which of Winograd's forms suits a convolution, by how long each would take
 *
 * Life of a version: ... -> [COMPILE] -> warm -> ...
 *
 * Threads: any. Memory: none.
 */
#pragma once

#include "exec/cpu/conv/conv_job.h"

/* A form, and whether the weights of a row of its kinds are made of planes (wino_weights.h). */
struct wino_way {
	struct wino_form form;
	bool in_planes;
};

struct wino_way wino_way_choose(const struct conv_job *j, int64_t threads);

/* Rough, of one image. */
double wino_way_ns(const struct conv_job *j, struct wino_way way, int64_t threads);

/* Of all weights, not in planes. */
int64_t wino_way_bytes(const struct conv_job *j, struct wino_form form);

/* They are too many for every thread to read them all: each takes its part of them. */
bool wino_way_slices(const struct conv_job *j, struct wino_form form);
