/* SPDX-License-Identifier: Apache-2.0 */
#include "exec/attrs.h"

#define END { NULL, 0, false }
#define INT(name) { name, ATTR_INT, false }
#define FLOAT(name) { name, ATTR_FLOAT, false }
#define STRING(name) { name, ATTR_STRING, false }
#define INTS(name) { name, ATTR_INTS, false }
#define FLOATS(name) { name, ATTR_FLOATS, false }
#define STRINGS(name) { name, ATTR_STRINGS, false }
#define TENSOR(name) { name, ATTR_TENSOR, false }
#define NEED(name, kind) { name, kind, true }
#define LIST(id, ...) const struct attr_spec id[] = { __VA_ARGS__ }

LIST(attrs_none, END);
LIST(attrs_alpha, FLOAT("alpha"), END);
LIST(attrs_alpha_beta, FLOAT("alpha"), FLOAT("beta"), END);
LIST(attrs_selu, FLOAT("alpha"), FLOAT("gamma"), END);
LIST(attrs_gelu, STRING("approximate"), END);
LIST(attrs_axis, INT("axis"), END);
LIST(attrs_axis_required, NEED("axis", ATTR_INT), END);
LIST(attrs_shrink, FLOAT("bias"), FLOAT("lambd"), END);
LIST(attrs_is_inf, INT("detect_negative"), INT("detect_positive"), END);
LIST(attrs_bit_shift, NEED("direction", ATTR_STRING), END);
LIST(attrs_mod, INT("fmod"), END);
LIST(attrs_gemm, FLOAT("alpha"), FLOAT("beta"), INT("transA"), INT("transB"), END);
LIST(attrs_einsum, NEED("equation", ATTR_STRING), END);
LIST(attrs_quantize, INT("axis"), INT("block_size"), INT("output_dtype"), INT("precision"),
	INT("saturate"), END);
LIST(attrs_dequantize, INT("axis"), INT("block_size"), INT("output_dtype"), END);

#define CONV_ATTRS \
	STRING("auto_pad"), INTS("dilations"), INT("group"), INTS("kernel_shape"), INTS("pads"), \
		INTS("strides")
LIST(attrs_conv, CONV_ATTRS, END);
LIST(attrs_conv_transpose, CONV_ATTRS, INTS("output_padding"), INTS("output_shape"), END);
LIST(attrs_fused_conv, CONV_ATTRS, INT("activation"), FLOAT("alpha"), FLOAT("beta"), END);
LIST(attrs_fused_matmul, INT("trans_b"), FLOAT("scale"), INT("activation"), FLOAT("alpha"),
	FLOAT("beta"), END);
LIST(attrs_fused_elementwise, NEED("body", ATTR_GRAPH), END);
#define REQUANT_ATTRS \
	INT("to"), INT("x_zero"), INT("y_zero"), INT("low"), INT("high")
#define SUM_ATTRS \
	REQUANT_ATTRS, INT("z_zero"), FLOAT("z_factor"), INT("mid_low"), INT("mid_high"), \
		FLOAT("mid_factor")
LIST(attrs_quantized_conv, CONV_ATTRS, SUM_ATTRS, END);
LIST(attrs_quantized_matmul, INT("trans_b"), SUM_ATTRS, END);
LIST(attrs_quantized_pool, REQUANT_ATTRS, FLOAT("factor"), END);

#define POOL_ATTRS \
	STRING("auto_pad"), INT("ceil_mode"), INTS("dilations"), \
		NEED("kernel_shape", ATTR_INTS), INTS("pads"), INTS("strides")
LIST(attrs_average_pool, POOL_ATTRS, INT("count_include_pad"), END);
LIST(attrs_max_pool, POOL_ATTRS, INT("storage_order"), END);

LIST(attrs_lp_pool, POOL_ATTRS, INT("p"), END);
LIST(attrs_p, INT("p"), END);
LIST(attrs_max_unpool, NEED("kernel_shape", ATTR_INTS), INTS("pads"), INTS("strides"), END);
LIST(attrs_deform_conv, INTS("dilations"), INT("group"), INTS("kernel_shape"), INT("offset_group"),
	INTS("pads"), INTS("strides"), END);
LIST(attrs_col2im, INTS("dilations"), INTS("pads"), INTS("strides"), END);
LIST(attrs_grid_sample, INT("align_corners"), STRING("mode"), STRING("padding_mode"), END);
LIST(attrs_align_corners, INT("align_corners"), END);
LIST(attrs_roi_align, STRING("coordinate_transformation_mode"), STRING("mode"),
	INT("output_height"), INT("output_width"), INT("sampling_ratio"), FLOAT("spatial_scale"),
	END);
LIST(attrs_max_roi_pool, NEED("pooled_shape", ATTR_INTS), FLOAT("spatial_scale"), END);
LIST(attrs_axes, INTS("axes"), END);

LIST(attrs_metric, STRING("metric"), END);
LIST(attrs_dft, INT("inverse"), INT("onesided"), END);
LIST(attrs_onesided, INT("onesided"), END);
LIST(attrs_cosine_window, INT("kind"), INT("periodic"), END);

LIST(attrs_resize, INT("antialias"), INTS("axes"), STRING("coordinate_transformation_mode"),
	FLOAT("cubic_coeff_a"), INT("exclude_outside"), FLOAT("extrapolation_value"),
	STRING("keep_aspect_ratio_policy"), STRING("mode"), STRING("nearest_mode"), END);

#define RNN_ATTRS \
	FLOATS("activation_alpha"), FLOATS("activation_beta"), STRINGS("activations"), \
		FLOAT("clip"), \
		STRING("direction"), INT("hidden_size"), INT("layout")
LIST(attrs_rnn, RNN_ATTRS, END);
LIST(attrs_gru, RNN_ATTRS, INT("linear_before_reset"), END);
LIST(attrs_lstm, RNN_ATTRS, INT("input_forget"), END);

LIST(attrs_attention, INT("is_causal"), INT("kv_num_heads"), INT("q_num_heads"),
	INT("qk_matmul_output_mode"), FLOAT("scale"), FLOAT("softcap"), INT("softmax_precision"),
	END);
LIST(attrs_rotary, INT("interleaved"), INT("num_heads"), INT("rotary_embedding_dim"), END);
LIST(attrs_tensor_scatter, INT("axis"), STRING("mode"), END);
LIST(attrs_linear_attention, INT("chunk_size"), NEED("kv_num_heads", ATTR_INT),
	NEED("q_num_heads", ATTR_INT), FLOAT("scale"), STRING("update_rule"), END);
LIST(attrs_causal_conv, STRING("activation"), END);

LIST(attrs_group_query, INT("causal"), INT("do_rotary"), STRING("k_quant_type"),
	FLOAT("k_norm_epsilon"), INT("kv_cache_bit_width"), NEED("kv_num_heads", ATTR_INT),
	INT("local_window_size"), NEED("num_heads", ATTR_INT), FLOAT("q_norm_epsilon"),
	FLOAT("qk_norm_epsilon"), INT("qk_output"), INT("rotary_interleaved"), FLOAT("scale"),
	INT("sliding_window_cache"), INT("smooth_softmax"), FLOAT("softcap"),
	STRING("v_quant_type"), END);

LIST(attrs_batch_norm, FLOAT("epsilon"), FLOAT("momentum"), INT("training_mode"), END);
LIST(attrs_epsilon, FLOAT("epsilon"), END);
LIST(attrs_layer_norm, INT("axis"), FLOAT("epsilon"), INT("stash_type"), END);
LIST(attrs_group_norm, FLOAT("epsilon"), NEED("num_groups", ATTR_INT), INT("stash_type"), END);
LIST(attrs_lp_norm, INT("axis"), INT("p"), END);
LIST(attrs_lrn, FLOAT("alpha"), FLOAT("beta"), FLOAT("bias"), NEED("size", ATTR_INT), END);
LIST(attrs_dropout, INT("seed"), END);

LIST(attrs_reduce, INT("keepdims"), INT("noop_with_empty_axes"), END);
LIST(attrs_arg, INT("axis"), INT("keepdims"), INT("select_last_index"), END);
LIST(attrs_cum_sum, INT("exclusive"), INT("reverse"), END);
LIST(attrs_top_k, INT("axis"), INT("largest"), INT("sorted"), END);

LIST(attrs_cast, INT("saturate"), STRING("round_mode"), NEED("to", ATTR_INT), END);
LIST(attrs_to, NEED("to", ATTR_INT), END);
LIST(attrs_cast_like, INT("saturate"), STRING("round_mode"), END);
LIST(attrs_value, { "value", ATTR_TENSOR, false }, END);
LIST(attrs_blocksize, NEED("blocksize", ATTR_INT), END);
LIST(attrs_depth_to_space, NEED("blocksize", ATTR_INT), STRING("mode"), END);
LIST(attrs_batch_dims, INT("batch_dims"), END);
LIST(attrs_pad, STRING("mode"), END);
LIST(attrs_reshape, INT("allowzero"), END);
LIST(attrs_scatter_nd, STRING("reduction"), END);
LIST(attrs_scatter_elements, INT("axis"), STRING("reduction"), END);
LIST(attrs_shape, INT("end"), INT("start"), END);
LIST(attrs_split, INT("axis"), INT("num_outputs"), END);
LIST(attrs_perm, INTS("perm"), END);
LIST(attrs_trilu, INT("upper"), END);
LIST(attrs_matmul_nbits, NEED("K", ATTR_INT), NEED("N", ATTR_INT), INT("accuracy_level"),
	INT("bits"), NEED("block_size", ATTR_INT), INT("weight_prepacked"), END);
LIST(attrs_experts, INT("bits"), INT("block_size"), END);
LIST(attrs_gather_blocks, INT("bits"), INT("block_size"), INT("gather_axis"), INT("quantize_axis"),
	END);
LIST(attrs_adagrad, FLOAT("decay_factor"), FLOAT("epsilon"), FLOAT("norm_coefficient"), END);
LIST(attrs_adam, FLOAT("alpha"), FLOAT("beta"), FLOAT("epsilon"), FLOAT("norm_coefficient"),
	FLOAT("norm_coefficient_post"), END);
LIST(attrs_momentum, NEED("alpha", ATTR_FLOAT), NEED("beta", ATTR_FLOAT), NEED("mode", ATTR_STRING),
	NEED("norm_coefficient", ATTR_FLOAT), END);
LIST(attrs_if, NEED("else_branch", ATTR_GRAPH), NEED("then_branch", ATTR_GRAPH), END);
LIST(attrs_loop, NEED("body", ATTR_GRAPH), END);
LIST(attrs_scan, NEED("body", ATTR_GRAPH), NEED("num_scan_inputs", ATTR_INT),
	INTS("scan_input_axes"), INTS("scan_input_directions"), INTS("scan_output_axes"),
	INTS("scan_output_directions"), END);

LIST(attrs_unique, INT("axis"), INT("sorted"), END);
LIST(attrs_nms, INT("center_point_box"), END);
LIST(attrs_reverse_sequence, INT("batch_axis"), INT("time_axis"), END);
LIST(attrs_eye_like, INT("dtype"), INT("k"), END);

LIST(attrs_image_decoder, STRING("pixel_format"), END);
LIST(attrs_string_split, STRING("delimiter"), INT("maxsplit"), END);
LIST(attrs_regex_full_match, NEED("pattern", ATTR_STRING), END);
LIST(attrs_string_normalizer, STRING("case_change_action"), INT("is_case_sensitive"),
	STRING("locale"), { "stopwords", ATTR_STRINGS, false }, END);
LIST(attrs_tokenizer, NEED("mark", ATTR_INT), NEED("mincharnum", ATTR_INT),
	NEED("pad_value", ATTR_STRING), STRINGS("separators"), STRING("tokenexp"), END);
LIST(attrs_tf_idf, NEED("max_gram_length", ATTR_INT), NEED("max_skip_count", ATTR_INT),
	NEED("min_gram_length", ATTR_INT), NEED("mode", ATTR_STRING),
	NEED("ngram_counts", ATTR_INTS), NEED("ngram_indexes", ATTR_INTS), INTS("pool_int64s"),
	{ "pool_strings", ATTR_STRINGS, false }, { "weights", ATTR_FLOATS, false }, END);

#define UNIFORM_ATTRS INT("dtype"), FLOAT("high"), FLOAT("low"), FLOAT("seed")
#define NORMAL_ATTRS INT("dtype"), FLOAT("mean"), FLOAT("scale"), FLOAT("seed")
LIST(attrs_random_uniform, UNIFORM_ATTRS, NEED("shape", ATTR_INTS), END);
LIST(attrs_random_normal, NORMAL_ATTRS, NEED("shape", ATTR_INTS), END);
LIST(attrs_random_uniform_like, UNIFORM_ATTRS, END);
LIST(attrs_random_normal_like, NORMAL_ATTRS, END);
LIST(attrs_bernoulli, INT("dtype"), FLOAT("seed"), END);
LIST(attrs_multinomial, INT("dtype"), INT("sample_size"), FLOAT("seed"), END);

LIST(attrs_dtype, INT("dtype"), END);
LIST(attrs_split_to_sequence, INT("axis"), INT("keepdims"), END);
LIST(attrs_concat_from_sequence, NEED("axis", ATTR_INT), INT("new_axis"), END);
LIST(attrs_optional, { "type", ATTR_TYPE, false }, END);
LIST(attrs_batched_scan, NEED("body", ATTR_GRAPH), NEED("num_scan_inputs", ATTR_INT),
	INTS("scan_input_directions"), END);
/* -- ai.onnx.ml ------------------------------------------------------------------------------ */

LIST(attrs_binarizer, FLOAT("threshold"), END);
LIST(attrs_cast_map, STRING("cast_to"), STRING("map_form"), INT("max_map"), END);
LIST(attrs_category_mapper, INTS("cats_int64s"), STRINGS("cats_strings"), INT("default_int64"),
	STRING("default_string"), END);
LIST(attrs_dict_vectorizer, INTS("int64_vocabulary"), STRINGS("string_vocabulary"), END);
LIST(attrs_feature_vectorizer, NEED("inputdimensions", ATTR_INTS), END);
LIST(attrs_imputer, FLOATS("imputed_value_floats"), INTS("imputed_value_int64s"),
	FLOAT("replaced_value_float"), INT("replaced_value_int64"), END);
LIST(attrs_label_encoder, FLOAT("default_float"), INT("default_int64"), STRING("default_string"),
	TENSOR("default_tensor"), FLOATS("keys_floats"), INTS("keys_int64s"),
	STRINGS("keys_strings"), TENSOR("keys_tensor"), FLOATS("values_floats"),
	INTS("values_int64s"), STRINGS("values_strings"), TENSOR("values_tensor"), END);
LIST(attrs_linear_classifier, INTS("classlabels_ints"), STRINGS("classlabels_strings"),
	NEED("coefficients", ATTR_FLOATS), FLOATS("intercepts"), INT("multi_class"),
	STRING("post_transform"), END);
LIST(attrs_linear_regressor, FLOATS("coefficients"), FLOATS("intercepts"),
	STRING("post_transform"), INT("targets"), END);
LIST(attrs_normalizer, STRING("norm"), END);
LIST(attrs_one_hot_encoder, INTS("cats_int64s"), STRINGS("cats_strings"), INT("zeros"), END);
LIST(attrs_scaler, FLOATS("offset"), FLOATS("scale"), END);
LIST(attrs_zip_map, INTS("classlabels_int64s"), STRINGS("classlabels_strings"), END);

#define SVM_ATTRS \
	FLOATS("coefficients"), FLOATS("kernel_params"), STRING("kernel_type"), \
		STRING("post_transform"), FLOATS("rho"), FLOATS("support_vectors")
LIST(attrs_svm_classifier, SVM_ATTRS, INTS("classlabels_ints"), STRINGS("classlabels_strings"),
	FLOATS("prob_a"), FLOATS("prob_b"), INTS("vectors_per_class"), END);
LIST(attrs_svm_regressor, SVM_ATTRS, INT("n_supports"), INT("one_class"), END);

#define TREE_ATTRS \
	FLOATS("base_values"), TENSOR("base_values_as_tensor"), INTS("nodes_falsenodeids"), \
		INTS("nodes_featureids"), FLOATS("nodes_hitrates"), \
		TENSOR("nodes_hitrates_as_tensor"), INTS("nodes_missing_value_tracks_true"), \
		STRINGS("nodes_modes"), INTS("nodes_nodeids"), INTS("nodes_treeids"), \
		INTS("nodes_truenodeids"), FLOATS("nodes_values"), \
		TENSOR("nodes_values_as_tensor"), \
		STRING("post_transform")
LIST(attrs_tree_classifier, TREE_ATTRS, INTS("class_ids"), INTS("class_nodeids"),
	INTS("class_treeids"), FLOATS("class_weights"), TENSOR("class_weights_as_tensor"),
	INTS("classlabels_int64s"), STRINGS("classlabels_strings"), END);
LIST(attrs_tree_regressor, TREE_ATTRS, STRING("aggregate_function"), INT("n_targets"),
	INTS("target_ids"), INTS("target_nodeids"), INTS("target_treeids"),
	FLOATS("target_weights"), TENSOR("target_weights_as_tensor"), END);
LIST(attrs_tree_ensemble, INT("aggregate_function"), NEED("leaf_targetids", ATTR_INTS),
	NEED("leaf_weights", ATTR_TENSOR), TENSOR("membership_values"), INT("n_targets"),
	NEED("nodes_falseleafs", ATTR_INTS), NEED("nodes_falsenodeids", ATTR_INTS),
	NEED("nodes_featureids", ATTR_INTS), TENSOR("nodes_hitrates"),
	INTS("nodes_missing_value_tracks_true"), NEED("nodes_modes", ATTR_TENSOR),
	NEED("nodes_splits", ATTR_TENSOR), NEED("nodes_trueleafs", ATTR_INTS),
	NEED("nodes_truenodeids", ATTR_INTS), INT("post_transform"),
	NEED("tree_roots", ATTR_INTS), END);
