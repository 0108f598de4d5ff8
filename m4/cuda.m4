# SPDX-License-Identifier: Apache-2.0
# The module for GPUs: CUDA 12 or later with cuDNN 9, found where nvcc is or where --with-cuda says.
AC_DEFUN([SIGNET_CUDA], [
	AC_ARG_WITH([cuda], [AS_HELP_STRING([--with-cuda=PATH|no], [build the module for device gpu; PATH: the toolkit])],
		[], [with_cuda=auto])
	CUDA_PATH=
	AS_CASE([$with_cuda],
		[no], [],
		[yes|auto], [AC_PATH_PROG([NVCC], [nvcc], [], [$PATH:/usr/local/cuda/bin])
			AS_IF([test -n "$NVCC"], [CUDA_PATH=$(cd "$(dirname "$(readlink -f "$NVCC")")/.." && pwd)])],
		[NVCC=$with_cuda/bin/nvcc; CUDA_PATH=$with_cuda])
	signet_cuda_missing=
	AS_IF([test "$with_cuda" != no], [
		AC_MSG_CHECKING([for CUDA 12 or later with cuBLASLt, cuDNN 9 and NVRTC])
		for f in bin/nvcc include/cuda.h include/cublasLt.h include/cudnn_graph.h include/nvrtc.h; do
			test -e "$CUDA_PATH/$f" || signet_cuda_missing="$signet_cuda_missing $f"
		done
		AS_IF([test -z "$signet_cuda_missing"], [
			signet_cuda_version=$(sed -n 's/^#define CUDA_VERSION *//p' "$CUDA_PATH/include/cuda.h")
			AS_IF([test "${signet_cuda_version:-0}" -lt 12000],
				[signet_cuda_missing=" a CUDA_VERSION of 12000 or more (it is ${signet_cuda_version:-unknown})"])])
		AS_IF([test -z "$signet_cuda_missing"], [AC_MSG_RESULT([$CUDA_PATH])],
			[AC_MSG_RESULT([no:$signet_cuda_missing])
			AS_IF([test "$with_cuda" != auto],
				[AC_MSG_ERROR([--with-cuda=$with_cuda: ${CUDA_PATH:-no nvcc in PATH or /usr/local/cuda/bin} lacks$signet_cuda_missing])])
			CUDA_PATH=])
	])
	AC_SUBST([CUDA_PATH])
	AC_SUBST([NVCC])
	AM_CONDITIONAL([CUDA], [test -n "$CUDA_PATH"])
])
