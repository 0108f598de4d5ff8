/* SPDX-License-Identifier: Apache-2.0 */
/*
 * params.h -- structs that kernels take by value, in C and in CUDA C alike
 */
#pragma once

#include <stdint.h>

#define GPU_RANK_MAX 8 /* of boxes after dimensions are merged */
#define GPU_HELD 32 /* elements of a row that a thread holds, at most */
#define GPU_OPERANDS_MAX 12

/* Division by d of numbers below 2^31: a product, a sum, a shift. */
struct gpu_div {
	uint32_t d, mul, shift;
};

/* A box of elements that is copied, in the order of the destination; strides in elements. */
struct gpu_box {
	uint32_t count;
	int32_t rank; /* at least 1 */
	struct gpu_div dim[GPU_RANK_MAX];
	int32_t src[GPU_RANK_MAX], dst[GPU_RANK_MAX];
};

/* A box whose last dimension is dense in the destination, and `tile` in the source: squares of
   both go through shared memory, one for each place of the outer dimensions. */
struct gpu_tiles {
	struct gpu_box outer;
	uint32_t last, tile; /* sizes */
	int32_t last_src, tile_dst;
	struct gpu_div last_squares, tile_squares;
	uint32_t squares; /* all of them */
};
#define GPU_SQUARE 32     /* accesses along a side */
#define GPU_SQUARE_HIGH 8 /* a block */

/* Few planes of elements, put side by side in the destination; plane and images in elements. */
struct gpu_interleave {
	uint32_t count;        /* groups of 16 bytes of one plane, of all images */
	struct gpu_div groups; /* of an image */
	int32_t plane, src_image, dst_image;
};
#define GPU_PLANES_MAX 4

/* Pad: an element of the result comes from the place that its coordinates less `begin` name, or
   from where the mode says, or is the constant. */
enum gpu_pad_mode { GPU_PAD_CONSTANT, GPU_PAD_EDGE, GPU_PAD_REFLECT, GPU_PAD_WRAP };
struct gpu_pad {
	uint32_t count;
	int32_t rank, mode;
	struct gpu_div dim[GPU_RANK_MAX];
	int32_t begin[GPU_RANK_MAX], in[GPU_RANK_MAX], src[GPU_RANK_MAX];
};

/* Indices, of int64 or int32, into rows of a tensor. */
struct gpu_gather {
	uint32_t count; /* elements moved */
	int32_t wide;   /* int64 */
	int64_t n;      /* Gather: of the axis */
	/* Elements of a row; Gather: indices, else tuples of a batch. */
	struct gpu_div row, indices;
	int64_t batch;  /* elements of the data for a batch of tuples */
	int32_t depth;  /* of a tuple; of the elements' kind: the rank */
	int32_t axis;   /* of the elements' kind */
	struct gpu_div place[GPU_RANK_MAX]; /* of the elements' kind: the indices' shape */
	int64_t dim[GPU_RANK_MAX], stride[GPU_RANK_MAX]; /* that the tuple's numbers index */
};

/* Dimensions, one of which may be any, and their strides in elements. */
struct gpu_dims {
	int32_t rank; /* may be 0 */
	struct gpu_div dim[GPU_RANK_MAX];
	uint32_t stride[GPU_RANK_MAX];
};

enum gpu_reduce_step { GPU_SUM, GPU_L1, GPU_SQUARES, GPU_PRODUCT, GPU_LARGEST, GPU_LEAST };
enum gpu_reduce_finish { GPU_AS_IS, GPU_MEAN_OF, GPU_ROOT, GPU_LOG, GPU_LOG_SUM_EXP };

/* Outputs over the kept dimensions, each of `elements` over the reduced ones. With groups of
   elements `count`, and the dimension whose elements lie side by side, are of such; strides are of
   elements. */
struct gpu_reduce {
	uint32_t outputs, elements, count;
	int32_t step, finish;
	struct gpu_dims kept, reduced;
};
#define GPU_REDUCE_WIDE 32 /* a block of columns: outputs beside each other, */
#define GPU_REDUCE_HIGH 8  /* and threads that share the elements of each */

/* Slices of n along an axis, `inner` elements apart. */
struct gpu_slices {
	uint32_t slices, n;
	struct gpu_div inner;
	int32_t largest, last; /* of ArgMax and TopK */
	uint32_t k;
	int32_t exclusive, reverse, product; /* of CumSum */
};

/* Rows of n elements; element i of row r takes number (r % groups) * per + i / inner of scale and
   bias, or number 0 where there is one only. */
struct gpu_norm {
	uint32_t rows, n;
	struct gpu_div groups, inner;
	uint32_t per;
	int32_t one_scale, one_bias, rms;
	float epsilon;
};

/* Windows over three spatial axes, of `outer` images of `inner` elements side by side: channels
   first are outer, channels last are inner. */
#define GPU_SPATIAL 3
struct gpu_pool {
	uint32_t count; /* outputs */
	struct gpu_div inner, out[GPU_SPATIAL];
	int32_t in[GPU_SPATIAL], kernel[GPU_SPATIAL], stride[GPU_SPATIAL], dilation[GPU_SPATIAL];
	/* End: where averages stop to count, with count_pad. */
	int32_t pad[GPU_SPATIAL], end[GPU_SPATIAL];
	int32_t count_pad;
};

/* Resize: an axis of the result, in memory's order. */
enum gpu_coordinate { GPU_HALF_PIXEL, GPU_ALIGNED, GPU_ASYMMETRIC, GPU_TF_HALF_PIXEL, GPU_ZERO,
	GPU_SAME };
struct gpu_resize_axis {
	struct gpu_div out;
	int32_t in, stride; /* of the source */
	int32_t how;        /* enum gpu_coordinate */
	double scale, plus;
};
struct gpu_resize {
	uint32_t count;
	/* Taps: 1 nearest, 2 linear, 4 cubic; nearest: enum resize_nearest. */
	int32_t rank, taps, nearest;
	int32_t exclude_outside;
	double cubic_a;
	struct gpu_resize_axis axis[GPU_RANK_MAX];
};

/*
 * Operands that are broadcast to a dense result, which is gone through in order. With `wide`
 * elements at a time dimensions and count are of such groups, strides in elements still.
 */
struct gpu_walk {
	uint32_t count;
	int32_t rank; /* at least 1 */
	struct gpu_div dim[GPU_RANK_MAX];
	uint32_t stride[GPU_OPERANDS_MAX][GPU_RANK_MAX];
	uint32_t dense; /* bit k: a group of operand k lies side by side; else it is one element */
};

/* Types that a parameter names. */
enum gpu_type { GPU_F32, GPU_F16, GPU_BF16, GPU_I64, GPU_I32, GPU_I8, GPU_U8, GPU_BOOL };

/* struct device_fault (backend.h). */
struct gpu_fault {
	int32_t code, step;
	int64_t value;
};

/* Where a kernel complains of data, and as what. */
struct gpu_complaint {
	struct gpu_fault *at;
	int32_t step, code;
};

/* A function out of a list, and its parameters. */
struct gpu_call {
	int32_t fn;
	float alpha, beta;
};
#define GPU_NO_CALL (-1)

/* Functions of one operand, of unary_reals.h, that kernels are made for: those that are
   activations. ROW(id, ...) */
#define GPU_OWN_FUNCTIONS(ROW, ...) \
	ROW(CLIP, __VA_ARGS__) \
	ROW(GELU, __VA_ARGS__) \
	ROW(GELU_TANH, __VA_ARGS__) \
	ROW(HARD_SIGMOID, __VA_ARGS__) \
	ROW(HARD_SWISH, __VA_ARGS__) \
	ROW(LEAKY_RELU, __VA_ARGS__) \
	ROW(RELU, __VA_ARGS__) \
	ROW(SIGMOID, __VA_ARGS__) \
	ROW(SWISH, __VA_ARGS__) \
	ROW(TANH, __VA_ARGS__)

/* The functions of two operands: gpu_call.fn. */
enum gpu_binary {
#define BINARY(id, expr) GPU_##id,
#include "exec/gpu/math/binary.h"
	GPU_BINARY_COUNT
};

/* Those that say yes or no; the last one of an operand that is compared with itself. */
enum gpu_compare {
	GPU_EQUAL,
	GPU_GREATER,
	GPU_GREATER_OR_EQUAL,
	GPU_LESS,
	GPU_LESS_OR_EQUAL,
	GPU_BOTH,
	GPU_EITHER,
	GPU_ONE_OF,
	GPU_DIFFER,
};

/* Scores [batch, heads, queries, keys], of which a query sees the first `seen`, if causal those up
   to its own place. The mask's strides are those of batch, head and query. */
struct gpu_attention {
	int32_t keys, seen, q_len, heads, causal;
	int32_t mask; /* enum gpu_mask */
	float softcap; /* 0: none */
	int64_t mask_stride[3];
};
enum gpu_mask { GPU_MASK_NONE, GPU_MASK_BOOL, GPU_MASK_ADDED };
#define GPU_ATTENTION_THREADS 128

/* RNN, GRU (3 gates) and LSTM (4). */
#define GPU_RNN_DIRECTIONS 2
#define GPU_RNN_FUNCTIONS 3
struct gpu_rnn {
	uint32_t steps, batch, input, hidden, gates, directions;
	int32_t reverse, batch_first, coupled, reset_after;
	float clip; /* 0: none */
	struct gpu_call function[GPU_RNN_DIRECTIONS][GPU_RNN_FUNCTIONS];
};

/* NULL: absent. */
struct gpu_rnn_pointers {
	const void *r, *b;
	const int32_t *lengths;
	const void *initial_h, *initial_c, *peepholes;
	void *y, *y_h, *y_c;
};

/* RotaryEmbedding: pairs of the first 2 * half elements of each head are turned. */
struct gpu_rotary {
	uint32_t count; /* elements */
	struct gpu_div size, heads, tokens;
	uint32_t half;
	int32_t interleaved, heads_inside; /* [batch, token, head], else [batch, head, token] */
	int64_t positions;
};

/* Attention row by row: strides, in elements, are those of batch, head and row. Keys before `past`
   lie in part 0, the others in part 1. */
struct gpu_attend {
	uint32_t rows; /* of all batches and heads */
	struct gpu_div q_len, heads, group; /* group: heads of queries that share one of keys */
	int32_t head, v_head, keys, past;
	int64_t q[3], k[2][3], v[2][3], y[3], mask[3];
	int32_t masked, mask_keys; /* enum gpu_mask; keys from mask_keys on are not seen */
	int32_t causal, window;    /* window 0: none */
	/* The last query stands at the last valid key, else behind the past. */
	int32_t at_end;
	int32_t wide;              /* keys are read 16 bytes at a time */
	int32_t lengths_wide;      /* int64 */
	int32_t more;              /* valid keys are so many more than a length says */
	/* One more key, of score 0 and no value, where no sinks say its score. */
	int32_t smooth;
	float scale, softcap;      /* softcap 0: none */
};
struct gpu_attend_at { /* NULL: absent */
	const void *q, *k[2], *v[2], *mask, *lengths, *sinks;
	void *y;
};
#define GPU_ATTEND_THREADS 128
#define GPU_ATTEND_VALUES 4 /* elements of a value for each thread, at most */

/* GroupQueryAttention's new tokens: turned queries, and a cache with room for `kept` keys. */
struct gpu_group_query {
	uint32_t queries, cached; /* elements */
	struct gpu_div head, heads, kv_heads, len, kept;
	int32_t past_len, fresh;  /* fresh: nothing is past */
	uint32_t half;            /* pairs that are turned; 0: none */
	int32_t interleaved;
	int64_t positions;        /* that there are cosines for */
	/* Of queries, keys, values: from a token to the next, before head 0. */
	int64_t row[3], first[3];
};
struct gpu_group_query_at {
	const void *part[3], *past_k, *past_v, *cosines, *sines;
	const int64_t *positions; /* NULL: behind the past */
	const int32_t *lengths;
	void *q, *k, *v; /* q NULL: nothing is turned */
};

/* MatMulNBits: columns of k numbers, `per` of them in a word of 32 bits, `words` in a column. */
struct gpu_nbits {
	uint32_t rows, n, k, words, per, blocks;
	struct gpu_div block; /* numbers that share a scale and a zero point */
	int32_t bits, zero_bytes; /* of a column's packed zero points; 0: they are no bits */
};
struct gpu_nbits_at { /* NULL: absent */
	const uint32_t *numbers;
	const void *scales, *zeros, *bias;
	const int32_t *block_of; /* the block of each number of a column */
};
#define GPU_NBITS_ROWS 8 /* that are done column by column, at most */

/* What a convolution does to a result: bounds, or any function. */
struct gpu_activation {
	float low, high;      /* low <= high; the infinities: none */
	struct gpu_call call; /* GPU_NO_CALL: the bounds are all */
};

/* A convolution of each channel by itself. A place has `inner` groups: of channels that are last;
   else it is one element, and planes are of images and channels. */
struct gpu_depthwise {
	uint32_t count; /* strips of GPU_DEPTHWISE_ROWS results below each other */
	struct gpu_div inner, columns, strips, channels;
	int32_t rows, last;
	int32_t in[2], kernel[2], stride[2], dilation[2], pad[2];
	struct gpu_activation act;
};
#define GPU_DEPTHWISE_ROWS 4

/* The same with channels last in groups of 16 bytes, windows and strides being known: a block makes
   a tile of groups by strips of results beside each other by rows, a thread each. */
struct gpu_depthwise_tiles {
	uint32_t count;
	struct gpu_div across, columns, rows; /* tiles of an image's groups, strips, rows */
	int32_t channels, in[2], out[2], pad[2];
	struct gpu_activation act;
};

/* A convolution of at most four channels, in square tiles of results; a tile reads a patch of
   pixels. */
struct gpu_stem {
	uint32_t tiles, pixels, steps;        /* steps: products that a window takes */
	struct gpu_div columns, rows, width;  /* tiles of an image; of a patch */
	int32_t channels, k;
	int32_t in[2], out[2], kernel[2], stride[2], pad[2];
	int32_t step[4]; /* of the source: image, channel, row, column */
	struct gpu_activation act;
};
#define GPU_STEM_SIDE 16

/* A convolution of single places: tiles of 32 or 16 of them, a warp each, by groups
   of 32 channels. */
struct gpu_pointwise {
	uint32_t places, groups;
	int32_t channels, k;
	struct gpu_activation act;
};

/* Rows of 8-bit numbers that products of integers read: what a window sees, taps outermost, in
   words of four numbers that are signed and end in zeros. A matrix's row is the window of an image
   of one place. */
struct gpu_qrows {
	uint32_t count, k;                  /* words; numbers of a row that count */
	struct gpu_div words, columns, lines; /* of a row; places of a result */
	struct gpu_div channels, width;       /* numbers of a tap; taps beside each other */
	int32_t in[2], stride[2], dilation[2], pad[2];
	int64_t step[4]; /* of the source: image, channel, line, column */
	int32_t flip;    /* 0x80: its numbers are unsigned */
	int32_t zero;    /* what lies outside; with a pointer, that says so */
};

/* Sums of rows * `sums` made a result: results per image, channel and place lie `out` apart, z's
   `z`. */
struct gpu_qfinish {
	uint32_t count; /* results */
	struct gpu_div n, places;
	uint32_t sums;
	int64_t out[3], z[3];
	int32_t k, x_zero, x_flip, w_flip; /* x_zero: where no pointer says so */
	int32_t many_zeros;                /* of weights, one for each channel */
	int32_t y_zero, z_zero, z_flip;
	float mid_low, mid_high, mid_factor, z_factor, low, high; /* cpu/int8/qproduct.h */
};
struct gpu_qfinish_at { /* NULL: absent */
	const int32_t *sums, *weight_sums, *row_sums, *bias;
	const float *factor; /* NULL: the result is the sums */
	const uint8_t *z, *x_zero, *w_zero;
	void *out;
};

/* Averages of the numbers of a channel, as above. */
struct gpu_qpool {
	uint32_t count, pixels, step; /* results; numbers of each, so far apart */
	struct gpu_div channels;
	int32_t last; /* channels lie side by side */
	float factor;
	struct gpu_qfinish finish;
};
