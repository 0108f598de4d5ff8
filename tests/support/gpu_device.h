/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu_device.h -- a device for tests of the module: a GPU where there is one, else the stand-in
 *
 * Memory: of the process, as devices are. What fails fails the test.
 */
#pragma once

#include "exec/gpu/gpu.h"

/* Opens it, once per process. */
const struct backend *gpu_device(void);
/* The same driver for whoever opens devices itself. true: there is a GPU. */
bool gpu_driver(void);

/* The module's rows. */
const struct gpu_row *gpu_device_rows(int *ret_n);
