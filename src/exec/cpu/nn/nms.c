/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NonMaxSuppression: of the boxes of each class, those with the highest scores that do not
 * overlap much with one that was taken before. Of equal scores the first box is taken first.
 *
 * DESIGN. Detectors bring ten thousands of boxes in one class, and each is compared with those
 * taken before: their corners lie coordinate by coordinate, so that a vector's worth is compared
 * at once. They are sorted by the digits of their scores, those too low passed over in runs.
 */
#include "exec/cpu/cpu.h"

#include <math.h>
#include <string.h>
#include "base/checked.h"
#include "exec/cpu/math/key_sort.h"

struct nms_state {
	bool center; /* boxes are x, y of the center, width, height; else two corners, y first */
};

/* Boxes that are compared at once; those beyond the last one taken overlap with nothing. */
#define LANES 16

enum { X0, Y0, X1, Y1, AREA, COORDINATES_ };

struct nms {
	const struct kernel_args *a;
	const float *boxes, *scores; /* of one batch entry, of one class */
	int64_t n_box, most;
	float iou_min, score_min;
	bool center, has_score_min;
	uint64_t *keys, *spare; /* of the boxes whose scores count */
	int64_t *picked; /* triples, grown by doubling */
	int64_t n_picked, cap;
	float *kept[COORDINATES_]; /* of the boxes taken of this class */
	int64_t n_kept;
};

struct corners {
	float x0, y0, x1, y1;
};

static struct corners corners_of(const struct nms *s, int64_t i)
{
	const float *b = s->boxes + 4 * i;
	if (s->center) {
		float w = b[2] / 2, h = b[3] / 2;
		return (struct corners){ b[0] - w, b[1] - h, b[0] + w, b[1] + h };
	}
	return (struct corners){ fminf(b[1], b[3]), fminf(b[0], b[2]), fmaxf(b[1], b[3]),
		fmaxf(b[0], b[2]) };
}

static float area(const struct corners *c)
{
	return (c->x1 - c->x0) * (c->y1 - c->y0);
}

static float larger(float a, float b)
{
	return a > b ? a : b;
}

static float smaller(float a, float b)
{
	return a < b ? a : b;
}

static bool overlaps_block(const struct nms *s, const struct corners *c, int64_t at)
{
	float own = area(c), iou_min = s->iou_min;
	int hit = 0;
	for (int64_t i = at; i < at + LANES; i++) {
		float x0 = larger(c->x0, s->kept[X0][i]), x1 = smaller(c->x1, s->kept[X1][i]);
		float y0 = larger(c->y0, s->kept[Y0][i]), y1 = smaller(c->y1, s->kept[Y1][i]);
		float inside = (x1 - x0) * (y1 - y0), whole = own + s->kept[AREA][i] - inside;
		hit |= (x0 < x1) & (y0 < y1) & (whole > 0) & (inside / whole > iou_min);
	}
	return hit;
}

static bool overlaps(const struct nms *s, const struct corners *c)
{
	bool hit = false;
	for (int64_t at = 0; at < s->n_kept && !hit; at += LANES)
		hit = overlaps_block(s, c, at);
	return hit;
}

static void keep(struct nms *s, const struct corners *c)
{
	int64_t at = s->n_kept++;
	for (int64_t i = at; at % LANES == 0 && i < at + LANES; i++) {
		s->kept[X0][i] = s->kept[Y0][i] = INFINITY;
		s->kept[X1][i] = s->kept[Y1][i] = -INFINITY;
		s->kept[AREA][i] = 0;
	}
	s->kept[X0][at] = c->x0;
	s->kept[Y0][at] = c->y0;
	s->kept[X1][at] = c->x1;
	s->kept[Y1][at] = c->y1;
	s->kept[AREA][at] = area(c);
}

/* Highest first; NaN after all. */
static uint64_t key_of(float score, int64_t i)
{
	uint32_t place = isnan(score) ? UINT32_MAX : ~key_place(score);
	return (uint64_t)place << 32 | (uint64_t)i;
}

static bool any_above(const float *score, float least)
{
	int any = 0;
	for (int i = 0; i < LANES; i++)
		any |= score[i] > least;
	return any;
}

/* The keys of the boxes whose scores count, sorted; returns how many. */
static int64_t rank_boxes(struct nms *s)
{
	int64_t n = 0;
	for (int64_t at = 0; at < s->n_box; at += LANES) {
		int64_t end = min_i64(at + LANES, s->n_box);
		if (s->has_score_min && end == at + LANES &&
			!any_above(s->scores + at, s->score_min))
			continue;
		for (int64_t i = at; i < end; i++)
			if (!s->has_score_min || s->scores[i] > s->score_min)
				s->keys[n++] = key_of(s->scores[i], i);
	}
	uint64_t *sorted = key_sort(s->keys, s->spare, n);
	if (sorted != s->keys) {
		s->spare = s->keys;
		s->keys = sorted;
	}
	return n;
}

static int64_t *grow(struct nms *s)
{
	if (s->n_picked == s->cap) {
		struct shape shape = shape_of(s->cap ? 2 * s->cap : 64, 3);
		size_t bytes;
		int64_t *more = NULL;
		if (!tensor_bytes_overflow(DTYPE_I64, &shape, &bytes))
			more = arena_alloc_aligned(s->a->arena, bytes, ARENA_ALIGN_TENSOR);
		if (!more) {
			kernel_fault(s->a, FAULT_MEMORY, shape.dim[0]);
			return NULL;
		}
		if (s->n_picked)
			memcpy(more, s->picked, (size_t)s->n_picked * 3 * sizeof(*more));
		s->picked = more;
		s->cap = shape.dim[0];
	}
	return s->picked + 3 * s->n_picked++;
}

static bool pick_class(struct nms *s, int64_t batch, int64_t class)
{
	int64_t n = rank_boxes(s);
	s->n_kept = 0;
	for (int64_t k = 0; k < n && s->n_kept < s->most; k++) {
		int64_t box = (int64_t)(s->keys[k] & UINT32_MAX);
		struct corners c = corners_of(s, box);
		if (overlaps(s, &c))
			continue;
		int64_t *to = grow(s);
		if (!to)
			return false;
		memcpy(to, (int64_t[]){ batch, class, box }, 3 * sizeof(*to));
		keep(s, &c);
	}
	return true;
}

static bool make_room(struct nms *s)
{
	size_t n = round_up((size_t)s->n_box, LANES);
	s->keys = arena_calloc(s->a->arena, n + 1, 2 * sizeof(*s->keys));
	float *kept = arena_calloc(s->a->arena, n + 1, COORDINATES_ * sizeof(*kept));
	if (!s->keys || !kept || s->n_box > UINT32_MAX) {
		kernel_fault(s->a, FAULT_MEMORY, s->n_box);
		return false;
	}
	s->spare = s->keys + s->n_box;
	for (int i = 0; i < COORDINATES_; i++)
		s->kept[i] = kept + (size_t)i * n;
	return true;
}

static bool nms_init(struct nms *s, const struct kernel_args *a)
{
	const struct nms_state *state = a->state;
	*s = (struct nms){ .a = a, .n_box = a->in[0].shape.dim[1], .center = state->center };
	s->most = args_has_in(a, 2) ? tensor_int(&a->in[2], 0) : 0;
	s->iou_min = args_has_in(a, 3) ? *(const float *)a->in[3].data : 0;
	s->has_score_min = args_has_in(a, 4);
	s->score_min = s->has_score_min ? *(const float *)a->in[4].data : 0;
	return make_room(s);
}

static void run_nms(const struct kernel_args *a, int64_t begin, int64_t end)
{
	int64_t n_batch = a->in[1].shape.dim[0], n_class = a->in[1].shape.dim[1];
	struct nms s;
	(void)begin, (void)end;
	if (!nms_init(&s, a))
		return;
	for (int64_t b = 0; b < n_batch; b++)
		for (int64_t c = 0; c < n_class; c++) {
			s.boxes = (const float *)a->in[0].data + b * s.n_box * 4;
			s.scores = (const float *)a->in[1].data + (b * n_class + c) * s.n_box;
			if (!pick_class(&s, b, c))
				return;
		}
	struct shape shape = shape_of(s.n_picked, 3);
	int64_t *out = kernel_output(a, 0, DTYPE_I64, &shape);
	if (out && s.n_picked)
		memcpy(out, s.picked, (size_t)s.n_picked * 3 * sizeof(*out));
}

enum err_code prepare_nms(struct prep *p, struct kernel *ret, struct err *err)
{
	struct nms_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->center = node_int(p->node, "center_point_box", 0) != 0;
	ret->run = run_nms;
	return ERR_OK;
}
