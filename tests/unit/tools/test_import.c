/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include "tools/ctl/import.h"

static struct arena *arena;
static struct err err;

static void setup(void)
{
	arena = arena_new(4096, 1 << 20);
}

static void teardown(void)
{
	arena_free(arena);
}

/* What is printed of a file of this name; "" and err when it is refused. */
static const char *imported(const char *file, const char *text)
{
	struct buf b = buf_of(arena, 0);
	struct slice all;
	err = (struct err){ 0 };
	if (import_text(slice_of(text), file, &b, &err) != ERR_OK ||
		buf_finish(&b, &all, &err) != ERR_OK)
		return "";
	return all.ptr;
}

START_TEST(a_list_of_models_is_a_section_each)
{
	ck_assert_str_eq(imported("models.config",
		"# TensorFlow Serving\n"
		"model_config_list: {\n"
		"  config { name: \"a\" base_path: '/models/' \"a\", model_platform: 'tensorflow'\n"
		"    model_version_policy { specific { versions: 3 versions: 5 } }\n"
		"    version_labels { key: 'stable' value: 3 } version_labels: < key: 'canary'; "
		"value: 5 >\n"
		"  }\n"
		"  config: [ { name: \"b\", model_version_policy: { latest { num_versions: 2 } } "
		"},\n"
		"            { name: \"c\" base_path: 's3://bucket/c' model_version_policy { all "
		"{} } } ]\n"
		"}\n"),
		"\n# models.config\n[model a]\npath = /models/a\nversions = 3, 5\nlabels = "
		"stable=3, canary=5\n"
		"# model_config_list.config.model_platform = tensorflow: what is served are ONNX "
		"files, so it has "
		"to be converted\n"
		"\n# models.config\n[model b]\nversions = latest 2\n"
		"\n# models.config\n[model c]\nversions = all\n"
		"# model_config_list.config.base_path = s3://bucket/c: buckets are not read; copy "
		"it beneath a "
		"model root\n");
}
END_TEST

START_TEST(json_is_read_as_well)
{
	ck_assert_str_eq(imported("config.json",
		"{ \"mediapipe_config_list\": [], \"pipeline_config_list\": [ { \"name\": \"p\" } "
		"],\n"
		"  \"model_config_list\": [\n"
		"    { \"config\": { \"name\": \"r\\u0065s\", \"base_path\": \"\\/m\\/res\", "
		"\"nireq\": 4,\n"
		"        \"target_device\": \"GPU.1\", \"model_version_policy\": {\"specific\": "
		"{\"versions\": [1, 3]}},\n"
		"        \"plugin_config\": {\"NUM_STREAMS\": \"2\"} } },\n"
		"    { \"config\": { \"name\": \"t\", \"model_version_policy\": {\"latest\": {}}, "
		"\"x\": null } } ],\n"
		"  \"monitoring\": { \"metrics\": { \"enable\": true } } }\n"),
		"\n# config.json\n# pipeline_config_list: pipelines are not served\n"
		"\n# config.json\n[model res]\npath = /m/res\nversions = 1, 3\nbatches_max = "
		"4\ndevice = gpu:1\n"
		"# model_config_list.config.plugin_config: OpenVINO's own; see batches_max and "
		"[server] threads\n"
		"\n# config.json\n[model t]\nversions = latest\n"
		"# model_config_list.config.x = null: not known here\n");
}
END_TEST

START_TEST(tritons_file_is_one_model)
{
	ck_assert_str_eq(imported("repo/digits/config.pbtxt",
		"platform: \"onnxruntime_onnx\"\nmax_batch_size: 8\nbackend: \"\"\n"
		"input [ { name: \"image\" data_type: TYPE_FP32 dims: [ 64 ] } ]\n"
		"output { name: \"label\" label_filename: \"labels.txt\" }\n"
		"instance_group [ { count: 2 kind: KIND_GPU gpus: [ 1, 2 ] }, { count: 1 } ]\n"
		"version_policy: { latest { num_versions: 2 } }\n"
		"dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: "
		"100\n"
		"  default_queue_policy { max_queue_size: 64 default_timeout_microseconds: 0 } }\n"
		"parameters { key: \"a\" value: { string_value: \"b\" } }\n"
		"default_model_filename: \"net.onnx\" frobnicate: -1.5e3\n"),
		"\n# repo/digits/config.pbtxt\n[model digits]\nversions = latest 2\nmax_batch = 8\n"
		"batch_delay = 100us\nqueue_rows = 64\nbatches_max = 3\ndevice = gpu:1\n"
		"# output.label_filename = labels.txt: labels are those of a ZipMap, or an output "
		"'classes' or 'labels'\n"
		"# instance_group.gpus = 2: a model runs on one device\n"
		"# dynamic_batching.default_queue_policy.default_timeout_microseconds = 0: "
		"request_timeout of [http] "
		"and [grpc] is that of all models\n"
		"# parameters: parameters are those of other backends\n"
		"# default_model_filename = net.onnx: the file of a version is model.onnx\n"
		"# frobnicate = -1.5e3: not known here\n");
	ck_assert_str_eq(imported("config.pbtxt",
				 "name: 'm' max_batch_size: 0\n"
				 "dynamic_batching { default_queue_policy { max_queue_size: 0 } }"),
		"\n# config.pbtxt\n[model m]\nmax_batch = 1\n");
}
END_TEST

START_TEST(batching_parameters_are_those_of_all_models)
{
	ck_assert_str_eq(imported("batching",
		"num_batch_threads { value: 8 }\nbatch_timeout_micros { value: 1000 }\n"
		"max_batch_size { value: 128 }\nmax_enqueued_batches { value: 10 }\n"),
		"\n# batching\n[model *]\nmax_batch = 128\nbatch_delay = 1000us\nbatches_max = 8\n"
		"# max_enqueued_batches.value = 10: queues are bounded in rows: queue_rows\n");
}
END_TEST

START_TEST(what_is_wrong_is_said_with_its_line)
{
	static const struct {
		const char *text, *message;
	} wrong[] = {
		{ "name: \"a\n", "line 1: a string does not end on its line" },
		{ "name 'a'", "line 1: ':' or '{' is missing behind 'name'" },
		{ "name:\n}", "line 2: a value is missing behind 'name'" },
		{ "input {\n\n", "line 3: '}' is missing at the end of the file" },
		{ "input { ]", "line 1: a name is expected" },
		{ "[a.b]: 3", "line 1: a name is expected" },
		{ "max_batch_size: -1",
			"line 1: max_batch_size is '-1', must be: a whole number up to "
			"2147483647" },
		{ "name: 'a\\n[http]'",
			"line 1: name: its value cannot stand in a line of signetd.conf" },
		{ "name: 'a ; b'",
			"line 1: name: its value cannot stand in a line of signetd.conf" },
		{ "model_config_list { config { base_path: '/a' } }",
			"line 1: the model has no name" },
		{ "max_batch_size: 3", "the model has no name" },
		{ "nothing: 1", "none of its names is known: it is no model_config_list, "
				"config.pbtxt or batching parameters" },
		{ "", "none of its names is known: it is no model_config_list, config.pbtxt or "
		      "batching parameters" },
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_str_eq(imported("f", wrong[i].text), "");
		ck_assert_str_eq(err.msg, wrong[i].message);
	}
}
END_TEST

START_TEST(depth_and_length_of_names_are_bounded)
{
	char text[4096];
	memset(text, '[', sizeof(text));
	memcpy(text, "input:", 6);
	text[sizeof(text) - 1] = '\0';
	ck_assert_str_eq(imported("f", text), "");
	ck_assert_str_eq(err.msg, "line 1: more than 32 levels");
	memset(text, 'a', sizeof(text) - 1);
	ck_assert_str_eq(imported("f", text), "");
	ck_assert_str_eq(err.msg, "line 1: names of more than 512 bytes");
}
END_TEST

Suite *suite_import(void);
Suite *suite_import(void)
{
	Suite *s = suite_create("import");
	TCase *t = tcase_create("import");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_list_of_models_is_a_section_each);
	tcase_add_test(t, json_is_read_as_well);
	tcase_add_test(t, tritons_file_is_one_model);
	tcase_add_test(t, batching_parameters_are_those_of_all_models);
	tcase_add_test(t, what_is_wrong_is_said_with_its_line);
	tcase_add_test(t, depth_and_length_of_names_are_bounded);
	suite_add_tcase(s, t);
	return s;
}
