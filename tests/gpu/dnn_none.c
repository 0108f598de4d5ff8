/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnn_none.c -- a cuDNN that opens, and does nothing yet
 */
#define NOTHING(fn) \
	int fn(void); \
	int fn(void) { return 0; }
NOTHING(cudnnCreate)
NOTHING(cudnnDestroy)
NOTHING(cudnnSetStream)
NOTHING(cudnnGetVersion)
NOTHING(cudnnGetErrorString)
NOTHING(cudnnGetLastErrorString)
NOTHING(cudnnBackendCreateDescriptor)
NOTHING(cudnnBackendDestroyDescriptor)
NOTHING(cudnnBackendFinalize)
NOTHING(cudnnBackendSetAttribute)
NOTHING(cudnnBackendGetAttribute)
NOTHING(cudnnBackendExecute)
