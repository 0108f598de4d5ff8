/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_text.h -- ONNX models for tests, written as text, and graphs shown as text
 *
 *	ir 8                                   (8 when left out)
 *	opset 13                               or: opset ai.onnx.ml 3
 *	meta KEY VALUE
 *	in x float32 [N,3,?]                   a number, a name, or ? for each dimension
 *	init w int64 [2] 4 5
 *	node Add x,w -> y axis=1 mode="up" alpha=0.5 pads=[1,2] scales=[1.0,2.0]
 *	                                       words=[a,b] value=$w
 *	node com.me:Op x,_ -> y                _ is an absent input or output; - is none
 *	out y float32 [N]                      type and shape may be left out
 *	body NAME ... end                      a graph for then_branch=@NAME, given before its use
 *	function com.me NAME a,b -> c k d=1 ... end    attribute k, and d with its default;
 *	                                       k=&outer in its nodes refers to a call's attribute
 *
 * What the text cannot say is changed in the message before it is packed.
 *
 * Ownership: all in the arena given. What is wrong with the text fails the test.
 */
#pragma once

#include "exec/graph.h"
#include "onnx.pb-c.h"

Onnx__ModelProto *onnx_text_model(struct arena *a, const char *text);
struct slice onnx_text_pack(struct arena *a, const ProtobufCMessage *m);

/* A line per node: "Add(x, %0) axis=1 -> y\n". Nameless values are numbered as they come
   up; small constants without a name show what they are: 5, {1,2}. */
const char *onnx_text_graph(struct arena *a, const struct graph *g);
