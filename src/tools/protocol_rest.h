/* SPDX-License-Identifier: Apache-2.0 */
/*
 * protocol_rest.h -- the protocols over HTTP: their bodies, not how they travel
 *
 * Rows of protocol.c.
 *
 * Ownership: what is read lives in the arena.
 * Threads:   any; nothing is shared.
 */
#pragma once

#include "tools/protocol.h"

protocol_encode_fn protocol_rest_v1_encode, protocol_rest_v2_encode, protocol_rest_v2_encode_binary;
protocol_decode_fn protocol_rest_v1_decode, protocol_rest_v2_decode;
