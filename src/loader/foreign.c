/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/foreign.h"

#include <dirent.h>
#include <stdio.h>
#include "base/file.h"
#include "base/slice.h"

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

const char *foreign_advice(const char *name)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		if (slice_ends(slice_of(name), formats[i].ending))
			return formats[i].advice;
	return NULL;
}

static const char *advice_beside_none(const char *name)
{
	if (slice_ends(slice_of(name), ".onnx"))
		return "has to be named model.onnx";
	if (slice_ends(slice_of(name), ".signet"))
		return "has to be named model.signet";
	return foreign_advice(name);
}

void foreign_hint(int dirfd, char ret[FOREIGN_HINT_MAX])
{
	ret[0] = '\0';
	DIR *dir = file_open_dir(dirfd, ".", 0);
	if (!dir)
		return;
	const struct dirent *e;
	const char *advice = NULL;
	for (int i = 0; !advice && i < ENTRIES_MAX && (e = readdir(dir)); i++)
		if ((advice = advice_beside_none(e->d_name)))
			snprintf(ret, FOREIGN_HINT_MAX, "; %s %s", e->d_name, advice);
	closedir(dir);
}
