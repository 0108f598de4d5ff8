/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/foreign.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES_MAX 256 /* that are looked at */

static const struct {
	const char *ending, *advice;
} formats[] = {
	{ "saved_model.pb", "is a SavedModel, which has to be converted, by python -m "
			    "tf2onnx.convert --saved-model" },
	{ ".tflite", "has to be converted, by python -m tf2onnx.convert --tflite" },
	{ ".keras", "has to be exported, by Keras 3's model.export(PATH, format=\"onnx\")" },
	{ ".h5", "has to be exported, by Keras 3's model.export(PATH, format=\"onnx\")" },
	{ ".pt", "has to be exported, by torch.onnx.export" },
	{ ".pt2", "has to be exported, by torch.onnx.export" },
	{ ".pth", "has to be exported, by torch.onnx.export" },
	{ ".safetensors", "holds weights alone; optimum-cli export onnx writes models with them" },
	{ ".pdmodel", "has to be converted, by paddle2onnx" },
	{ ".joblib", "has to be converted, by skl2onnx" },
	{ ".pkl", "has to be converted, by skl2onnx" },
	{ ".plan", "is TensorRT's alone; the ONNX file that it was built from can be served" },
	{ ".engine", "is TensorRT's alone; the ONNX file that it was built from can be served" },
	{ ".xml", "is OpenVINO's, if it is a model; the ONNX file that it was made from can be "
		  "served" },
};

static bool ends_with(const char *name, const char *ending)
{
	size_t len = strlen(name), n = strlen(ending);
	return len >= n && strcmp(name + len - n, ending) == 0;
}

const char *foreign_advice(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (ends_with(name, formats[i].ending))
			return formats[i].advice;
	return NULL;
}

static const char *advice_beside_none(const char *name)
{
	if (ends_with(name, ".onnx"))
		return "has to be named model.onnx";
	return ends_with(name, ".signet") ? "has to be named model.signet" : foreign_advice(name);
}

void foreign_hint(int dirfd, char ret[FOREIGN_HINT_MAX])
{
	ret[0] = '\0';
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	const struct dirent *e;
	const char *advice = NULL;
	for (int i = 0; !advice && i < ENTRIES_MAX && (e = readdir(dir)); i++)
		if ((advice = advice_beside_none(e->d_name)))
			snprintf(ret, FOREIGN_HINT_MAX, "; %s %s", e->d_name, advice);
	closedir(dir);
}
