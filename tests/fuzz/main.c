/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of every fuzz target that is built without libFuzzer: replays NAME.in/ and
 * NAME.repro/, and of each file also its beginnings and some thousand small changes, the
 * same ones every time. Under a sanitizer this is what make check runs.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (4u << 20)
/* So many calls for the changes of one file, fewer for a large one. */
#define CHANGES 2000
#define CHANGED_BYTES_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory of exactly its size, so that reading past the end is seen. */
static void run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static void change(uint8_t *data, size_t size, uint64_t *state)
{
	static const uint8_t likely[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, '\n', '"', '=', '[', ']',
		'{', '}' };
	size_t n = 1 + next_random(state) % 4;
	for (size_t i = 0; i < n; i++) {
		size_t at = next_random(state) % size;
		switch (next_random(state) % 3) {
		case 0:
			data[at] ^= (uint8_t)(1u << next_random(state) % 8);
			break;
		case 1:
			data[at] = likely[next_random(state) % sizeof(likely)];
			break;
		default:
			data[at] = data[next_random(state) % size];
			break;
		}
	}
}

static void replay(const uint8_t *data, size_t size)
{
	uint64_t state = size;
	size_t n = size ? CHANGED_BYTES_MAX / size : 0;
	n = n > CHANGES ? CHANGES : n;
	run(data, size);
	for (size_t i = 0; i < n && i < size; i++)
		run(data, n >= size ? i : next_random(&state) % size);
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		abort();
	for (size_t i = 0; i < n; i++) {
		memcpy(copy, data, size);
		change(copy, size, &state);
		run(copy, size);
	}
	free(copy);
}

static bool replay_file(const char *dir, const char *name)
{
	char path[4096];
	uint8_t *data = malloc(FILE_MAX);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "rb");
	bool good = f && data;
	if (good)
		replay(data, fread(data, 1, FILE_MAX, f));
	else
		fprintf(stderr, "cannot read %s\n", path);
	if (f)
		fclose(f);
	free(data);
	return good;
}

/* A directory that is not there has no files. */
static void replay_dir(const char *dir, int *passed, int *failed)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.') {
			/* Before it runs: after a crash it is the last line. */
			printf("%s/%s\n", dir, entries[i]->d_name);
			fflush(stdout);
			if (replay_file(dir, entries[i]->d_name))
				++*passed;
			else
				++*failed;
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int main(void)
{
	int passed = 0, failed = 0;
	replay_dir(FUZZ_FOLDER FUZZ_NAME ".in", &passed, &failed);
	replay_dir(FUZZ_FOLDER FUZZ_NAME ".repro", &passed, &failed);
	printf("%d passed, %d failed, 0 skipped\n", passed, failed);
	return failed || !passed ? EXIT_FAILURE : EXIT_SUCCESS;
}
