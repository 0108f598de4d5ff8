/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/rest/v2_body.h"

#include <string.h>

/* Members that may stand once: a bit each. */
enum member { SEEN_ID = 1, SEEN_PARAMETERS = 2, SEEN_INPUTS = 4, SEEN_OUTPUTS = 8, SEEN_NAME = 16,
	SEEN_DATATYPE = 32, SEEN_SHAPE = 64, SEEN_DATA = 128 };

#define NAME(lit) { (lit), sizeof(lit) - 1 }
static const struct {
	struct slice name;
	enum member bit;
} members[] = { { NAME("id"), SEEN_ID }, { NAME("parameters"), SEEN_PARAMETERS },
	{ NAME("inputs"), SEEN_INPUTS }, { NAME("outputs"), SEEN_OUTPUTS },
	{ NAME("name"), SEEN_NAME }, { NAME("datatype"), SEEN_DATATYPE },
	{ NAME("shape"), SEEN_SHAPE }, { NAME("data"), SEEN_DATA } };

/* Which member a key names (0: none known); a second one of a kind is an error. */
static enum member see(struct json *j, struct slice key, unsigned allowed, unsigned *seen)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		if (!(members[i].bit & allowed) || !slice_eq(key, members[i].name))
			continue;
		if (*seen & members[i].bit)
			json_fail(j, "a key stands twice");
		*seen |= members[i].bit;
		return members[i].bit;
	}
	return 0;
}

static void read_u64(struct json *j, uint64_t max, uint64_t *ret)
{
	struct number n;
	const char *at = j->at;
	if (json_number(j, &n) && !number_to_u64(&n, max, ret)) {
		j->at = at;
		json_fail(j, "a parameter is not a whole number in its range");
	}
}

static bool is_sequence_parameter(struct slice key)
{
	return slice_is(key, "sequence_id") || slice_is(key, "sequence_start") ||
	       slice_is(key, "sequence_end");
}

/* One parameter, of whichever object; those that we do not know are for others. */
static void read_parameter(struct json *j, struct slice key, struct v2_parameters *p)
{
	uint64_t n = 0;
	bool flag = false;
	if (slice_is(key, "binary_data_size")) {
		read_u64(j, INT64_MAX, &n);
		p->binary_bytes = (int64_t)n;
	} else if (slice_is(key, "binary_data")) {
		p->binary = json_bool(j, &flag) && flag;
	} else if (slice_is(key, "binary_data_output")) {
		json_bool(j, &p->binary_output);
	} else if (slice_is(key, "classification")) {
		read_u64(j, INT32_MAX, &n);
		p->top_k = (int64_t)n;
	} else if (slice_is(key, "priority")) {
		read_u64(j, INT32_MAX, &p->priority);
	} else if (slice_is(key, "timeout")) {
		read_u64(j, INT64_MAX / 1000, &p->timeout_us);
	} else if (slice_is(key, "signature_name")) {
		json_string(j, &p->signature);
	} else if (key.len > 7 && memcmp(key.ptr, "triton_", 7) == 0) {
		json_refuse(j, "parameters that begin with 'triton_' are reserved");
	} else if (is_sequence_parameter(key)) {
		json_refuse(
			j, "sequences are not supported: no parameter sequence_id, _start, _end");
	} else if (slice_is(key, "shared_memory_region")) {
		json_string(j, &p->window.region);
	} else if (slice_is(key, "shared_memory_byte_size")) {
		read_u64(j, INT64_MAX, &p->window.bytes);
	} else if (slice_is(key, "shared_memory_offset")) {
		read_u64(j, INT64_MAX, &p->window.offset);
	} else {
		json_skip(j, NULL);
	}
}

static void read_parameters(struct json *j, struct v2_parameters *p)
{
	struct slice key;
	json_enter_object(j);
	while (json_member(j, &key))
		read_parameter(j, key, p);
}

void v2_read_body(struct json *j, struct v2_body *b)
{
	struct slice key;
	unsigned seen = 0;
	size_t commas;
	json_enter_object(j);
	while (json_member(j, &key)) {
		switch (see(
			j, key, SEEN_ID | SEEN_PARAMETERS | SEEN_INPUTS | SEEN_OUTPUTS, &seen)) {
		case SEEN_ID:
			if (json_string(j, &b->id) && !oip_id_is_clean(b->id))
				json_refuse(j, "the id is longer than 256 bytes or has control "
					     "characters");
			break;
		case SEEN_PARAMETERS: read_parameters(j, &b->parameters); break;
		case SEEN_INPUTS: json_skim(j, &b->inputs, &commas); break;
		case SEEN_OUTPUTS: json_skim(j, &b->outputs, &commas); break;
		default: json_skip(j, NULL); break;
		}
	}
	json_end(j);
	if (!(seen & SEEN_INPUTS))
		json_refuse(j, "the request has no inputs");
}

static void read_shape(struct json *j, struct shape *ret)
{
	int64_t dim;
	ret->rank = 0;
	json_enter_array(j);
	while (json_next(j)) {
		if (!json_i64(j, &dim))
			return;
		if (dim < 0)
			json_fail(j, "a dimension is negative");
		else if (ret->rank == RANK_MAX)
			json_fail(j, "a shape has more than 12 dimensions");
		else
			ret->dim[ret->rank++] = dim;
	}
}

void v2_read_input(struct json *j, struct v2_input *in)
{
	struct slice key;
	unsigned seen = 0;
	*in = (struct v2_input){ .parameters = V2_PARAMETERS_NONE };
	json_enter_object(j);
	while (json_member(j, &key)) {
		switch (see(j, key,
			SEEN_NAME | SEEN_DATATYPE | SEEN_SHAPE | SEEN_DATA | SEEN_PARAMETERS,
			&seen)) {
		case SEEN_NAME: json_string(j, &in->head.name); break;
		case SEEN_DATATYPE: json_string(j, &in->head.datatype); break;
		case SEEN_SHAPE: read_shape(j, &in->head.shape); break;
		case SEEN_DATA: json_skim(j, &in->data, &in->commas); break;
		case SEEN_PARAMETERS: read_parameters(j, &in->parameters); break;
		default: json_skip(j, NULL); break;
		}
	}
	in->has_data = seen & SEEN_DATA;
	in->missing = !(seen & SEEN_NAME)     ? "name" :
		      !(seen & SEEN_SHAPE)    ? "shape" :
		      !(seen & SEEN_DATATYPE) ? "datatype" :
						NULL;
}

void v2_read_output(struct json *j, struct slice *name, struct v2_parameters *p)
{
	struct slice key;
	unsigned seen = 0;
	*p = V2_PARAMETERS_NONE;
	json_enter_object(j);
	while (json_member(j, &key)) {
		switch (see(j, key, SEEN_NAME | SEEN_PARAMETERS, &seen)) {
		case SEEN_NAME: json_string(j, name); break;
		case SEEN_PARAMETERS: read_parameters(j, p); break;
		default: json_skip(j, NULL); break;
		}
	}
	if (!(seen & SEEN_NAME))
		json_refuse(j, "an output has no name");
}
