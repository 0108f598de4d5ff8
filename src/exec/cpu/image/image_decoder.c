/* SPDX-License-Identifier: Apache-2.0 */
/* ImageDecoder: the bytes of an image file to [height, width, channels]. */
#include "exec/cpu/cpu.h"
#include "exec/cpu/image/image.h"

enum pixels { PIXELS_RGB, PIXELS_BGR, PIXELS_GRAY };

struct decoder_state {
	enum pixels pixels;
};

static void swap_red_and_blue(struct image *m)
{
	uint8_t *p = m->rgb;
	for (int64_t i = 0, n = m->width * m->height; i < n; i++, p += 3)
		image_put(p, p[2], p[1], p[0]);
}

/* ITU-R BT.601's luma in 16-bit fixed point, in place: one byte for three. */
static void reduce_to_luma(struct image *m)
{
	const uint8_t *p = m->rgb;
	for (int64_t i = 0, n = m->width * m->height; i < n; i++, p += 3)
		m->rgb[i] =
			(uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
}

static void run_decoder(const struct kernel_args *a, int64_t begin, int64_t end)
{
	const struct decoder_state *s = a->state;
	struct image m = { .arena = a->arena,
		.file = { a->in[0].data, (size_t)tensor_count(&a->in[0]) } };
	(void)begin, (void)end;
	if (!image_decode(&m)) {
		kernel_fault_data(a, m.why);
		return;
	}
	if (s->pixels == PIXELS_BGR)
		swap_red_and_blue(&m);
	else if (s->pixels == PIXELS_GRAY)
		reduce_to_luma(&m);
	a->out[0] = (struct tensor){ .data = m.rgb, .dtype = DTYPE_U8,
		.shape = shape_of(m.height, m.width, s->pixels == PIXELS_GRAY ? 1 : 3) };
}

enum err_code prepare_image_decoder(struct prep *p, struct kernel *ret, struct err *err)
{
	struct slice format = node_string(p->node, "pixel_format", "RGB");
	struct decoder_state *s = kernel_state(p, ret, sizeof(*s));
	if (!s)
		return err_oom(err);
	s->pixels = slice_is(format, "RGB")   ? PIXELS_RGB
		    : slice_is(format, "BGR") ? PIXELS_BGR
					      : PIXELS_GRAY;
	ret->run = run_decoder;
	return ERR_OK;
}
