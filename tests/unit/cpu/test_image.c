/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image files of the formats that we decode ourselves, by hand; what is refused, and how.
 * The libraries' formats are compared with another decoder in tests/e2e, hostile files are
 * tests/fuzz/image.in.
 */
#include <check.h>
#include <stdlib.h>
#include "exec/cpu/image/image.h"

static struct arena *arena;
static struct image image;

static void setup(void)
{
	arena = arena_new(1 << 16, 64 << 20);
}

static void teardown(void)
{
	arena_free(arena);
}

static bool decode(const void *bytes, size_t n)
{
	image = (struct image){ .file = { bytes, n }, .arena = arena };
	return image_decode(&image);
}

#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })
#define TEXT(s) (const uint8_t *)(s), sizeof(s) - 1

/* A BMP: its parts in hexadecimal, offset of the pixels and all. */
#define BMP_FILE(pixels_at) 'B', 'M', 0, 0, 0, 0, 0, 0, 0, 0, pixels_at, 0, 0, 0
#define BMP_INFO(w, h, h_sign, bits, kind, colors) \
	40, 0, 0, 0, w, 0, 0, 0, h, h_sign, h_sign, h_sign, 1, 0, bits, 0, kind, 0, 0, 0, 0, 0, 0, \
		0, \
		0, 0, 0, 0, 0, 0, 0, 0, colors, 0, 0, 0, 0, 0, 0, 0
/* Black, red, green, blue, white. */
#define PALETTE 0, 0, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0, 255, 255, 255, 0

static const struct {
	const char *name;
	const uint8_t *bytes;
	size_t n;
	int width, height;
	const char *pixels; /* a letter each: 0 black, r, g, b, w white, 7 half grey */
} images[] = {
	{ "P1", TEXT("P1\n# bits\n3 2\n101\n0 1 0\n"), 3, 2, "0w0w0w" },
	{ "P2", TEXT("P2 3 1 14 0 14 7"), 3, 1, "0w7" },
	{ "P3, beyond its maximum", TEXT("P3\n2 1\n1\n1 0 0 0 0 9"), 2, 1, "rb" },
	{ "P4", TEXT("P4\n9 2\n\xff\x00\x00\x80"), 9, 2, "00000000wwwwwwwww0" },
	{ "P5", TEXT("P5\n3 1\n255\n\x00\xff\x80"), 3, 1, "0w7" },
	{ "P5 of 16 bits", TEXT("P5\n3 1\n65535\n\0\0\xff\xff\x80\0"), 3, 1, "0w7" },
	{ "P6", TEXT("P6\n2 1\n255\n\xff\0\0\0\0\xff"), 2, 1, "rb" },
	{ "P7 with alpha",
		TEXT("P7\nWIDTH 2\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
				"\xff\0\0\x11\0\0\xff\x22"),
		2, 1, "rb" },
	{ "P7, grey with alpha", TEXT(
		"P7\nHEIGHT 1\nWIDTH 2\nMAXVAL 255\nDEPTH 2\nENDHDR\n\xff\0\0\0"), 2, 1, "w0" },
	{ "BMP, 24 bits", BYTES(BMP_FILE(54), BMP_INFO(1, 2, 0, 24, 0, 0), 0, 0, 255, 0, 255, 0, 0,
		0), 1, 2, "br" },
	{ "BMP, top down", BYTES(BMP_FILE(54), BMP_INFO(1, 254, 255, 24, 0, 0), 0, 0, 255, 0, 255,
		0, 0, 0), 1, 2, "rb" },
	{ "BMP, 32 bits", BYTES(BMP_FILE(54), BMP_INFO(2, 1, 0, 32, 0, 0), 0, 0, 255, 9, 255, 0, 0,
		9), 2, 1, "rb" },
	{ "BMP, 16 bits", BYTES(BMP_FILE(54), BMP_INFO(4, 1, 0, 16, 0, 0), 0, 0x7c, 0xe0, 0x03,
		0x1f, 0, 0xff, 0x7f), 4, 1, "rgbw" },
	{ "BMP, 16 bits with masks",
		BYTES(BMP_FILE(66), BMP_INFO(2, 1, 0, 16, 3, 0), 0x1f, 0, 0, 0, 0xe0, 0x07, 0, 0, 0,
			0xf8, 0, 0, 0x1f, 0, 0, 0xf8),
		2, 1, "rb" },
	{ "BMP, 8 bits", BYTES(BMP_FILE(74), BMP_INFO(3, 1, 0, 8, 0, 5), PALETTE, 3, 4, 1, 0), 3, 1,
		"bwr" },
	{ "BMP, a color beyond its palette",
		BYTES(BMP_FILE(74), BMP_INFO(3, 1, 0, 8, 0, 5), PALETTE, 3, 200, 1, 0), 3, 1,
		"b0r" },
	{ "BMP, 4 bits", BYTES(BMP_FILE(74), BMP_INFO(3, 1, 0, 4, 0, 5), PALETTE, 0x34, 0x10, 0, 0),
		3, 1, "bwr" },
	{ "BMP, 1 bit", BYTES(BMP_FILE(62), BMP_INFO(9, 1, 0, 1, 0, 2), 0, 0, 255, 0, 255, 0, 0, 0,
		0x81, 0x80, 0, 0), 9, 1, "brrrrrrbb" },
	{ "BMP of the oldest kind", BYTES(
		BMP_FILE(32), 12, 0, 0, 0, 3, 0, 1, 0, 1, 0, 1, 0, 0, 0, 255, 255, 0, 0, 0xa0, 0, 0,
		0), 3, 1, "brb" },
	{ "BMP, runs of 8 bits",
		/* rrrg. */
		BYTES(BMP_FILE(74), BMP_INFO(4, 3, 0, 8, 1, 5), PALETTE, 3, 1, 1, 2, 0, 0,
			/* bwr. */
			0, 3, 3, 4, 1, 0, 0, 0,
			/* ..bb, too many. */
			0, 2, 2, 0, 9, 3, 0, 1),
		4, 3, "00bbbwr0rrrg" },
	{ "BMP, runs of 4 bits",
		BYTES(BMP_FILE(74), BMP_INFO(5, 2, 0, 4, 2, 5), PALETTE, 5, 0x12, 0, 0, 0, 5, 0x12,
			0x34, 0x10, 0, 0, 1),
		5, 2, "rgbwrrgrgr" },
};

static void expect_pixel(const char *name, int at, char want)
{
	static const struct {
		char letter;
		uint8_t rgb[3];
	} colors[] = { { '0', { 0, 0, 0 } }, { 'r', { 255, 0, 0 } }, { 'g', { 0, 255, 0 } },
		{ 'b', { 0, 0, 255 } }, { 'w', { 255, 255, 255 } }, { '7', { 128, 128, 128 } } };
	for (size_t i = 0; i < sizeof(colors) / sizeof(colors[0]); i++)
		if (colors[i].letter == want)
			ck_assert_msg(memcmp(image.rgb + 3 * at, colors[i].rgb, 3) == 0,
				"%s: pixel %d is %d,%d,%d, want %c", name, at, image.rgb[3 * at],
				image.rgb[3 * at + 1], image.rgb[3 * at + 2], want);
}

START_TEST(a_file_by_hand_has_its_pixels)
{
	ck_assert_msg(decode(images[_i].bytes, images[_i].n), "%s: %s", images[_i].name, image.why);
	ck_assert_int_eq(image.width, images[_i].width);
	ck_assert_int_eq(image.height, images[_i].height);
	ck_assert_uint_eq(strlen(images[_i].pixels), (size_t)(image.width * image.height));
	for (int i = 0; images[_i].pixels[i]; i++)
		expect_pixel(images[_i].name, i, images[_i].pixels[i]);
}
END_TEST

/* In memory of its own, so that a sanitizer sees a step beyond. Text may end early. */
START_TEST(a_file_that_is_cut_off_is_refused)
{
	size_t least = strchr("123", images[_i].bytes[1]) ? images[_i].n - 2 : images[_i].n;
	for (size_t n = 0; n < least; n++) {
		uint8_t *cut = malloc(n + 1);
		memcpy(cut, images[_i].bytes, n);
		bool ok = decode(cut, n);
		free(cut);
		/* Padding, and the end of runs, may be missing. */
		if (n + 4 < images[_i].n)
			ck_assert_msg(!ok, "%s: decoded with %zu of %zu bytes", images[_i].name, n,
				images[_i].n);
		ck_assert(ok || image.why);
	}
}
END_TEST

static const struct {
	const uint8_t *bytes;
	size_t n;
	const char *says;
} refused[] = {
	{ TEXT(""), "its format is not known" },
	{ TEXT("GIF89a"), "its format is not known" },
	{ TEXT("P8\n1 1\n"), "its format is not known" },
	{ TEXT("P6\n0 1\n255\n"), "it has no pixels" },
	{ TEXT("P6\n100000 100000\n255\n"), "it has more pixels than are allowed" },
	{ TEXT("P6\n99999999999 1\n255\n"), "broken" },
	{ TEXT("P6\n8193 8192\n255\n"), "it has more pixels than are allowed" },
	{ TEXT("P5\n8192 8192\n255\n"), "there is no memory for it" }, /* of this arena */
	{ TEXT("P5\n1 1\n0\n\0"), "broken" },
	{ TEXT("P5\n1 1\n65536\n\0\0"), "broken" },
	{ TEXT("P7\nWIDTH 1\nHEIGHT 1\nDEPTH 5\nMAXVAL 255\nENDHDR\n12345"), "broken" },
	{ BYTES(BMP_FILE(54), BMP_INFO(1, 1, 0, 24, 4, 0), 0, 0, 0, 0),
		"of a kind that is not supported" },
	{ BYTES(BMP_FILE(54), BMP_INFO(1, 1, 0, 7, 0, 0), 0, 0, 0, 0),
		"of a kind that is not supported" },
	{ BYTES(BMP_FILE(255), BMP_INFO(1, 1, 0, 24, 0, 0), 0, 0, 0, 0), "cut off or broken" },
	{ BYTES(BMP_FILE(54), BMP_INFO(1, 0, 128, 24, 0, 0), 0, 0, 0, 0), "more pixels" },
};

START_TEST(a_bad_file_is_refused_with_the_reason)
{
	ck_assert(!decode(refused[_i].bytes, refused[_i].n));
	ck_assert_msg(strstr(image.why, refused[_i].says), "%s", image.why);
}
END_TEST

Suite *suite_image(void);
Suite *suite_image(void)
{
	Suite *s = suite_create("image");
	TCase *t = tcase_create("image");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(
		t, a_file_by_hand_has_its_pixels, 0, sizeof(images) / sizeof(images[0]));
	tcase_add_loop_test(
		t, a_file_that_is_cut_off_is_refused, 0, sizeof(images) / sizeof(images[0]));
	tcase_add_loop_test(
		t, a_bad_file_is_refused_with_the_reason, 0, sizeof(refused) / sizeof(refused[0]));
	suite_add_tcase(s, t);
	return s;
}
