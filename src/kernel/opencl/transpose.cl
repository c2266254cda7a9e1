/* SPDX-License-Identifier: Apache-2.0
 *
 * VECTOR vectors of VECTOR floats to their columns.
 */
#ifndef TRANSPOSE_CL
#define TRANSPOSE_CL

#include "vector.cl"

#if VECTOR == 4
#define ZIP_LOW(a, b) ((vf)(a.s0, b.s0, a.s1, b.s1))
#define ZIP_HIGH(a, b) ((vf)(a.s2, b.s2, a.s3, b.s3))
#elif VECTOR == 8
#define ZIP_LOW(a, b) ((vf)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3))
#define ZIP_HIGH(a, b) ((vf)(a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7))
#else
#define ZIP_LOW(a, b)                                                                                                  \
    ((vf)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3, a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7))
#define ZIP_HIGH(a, b)                                                                                                 \
    ((vf)(a.s8, b.s8, a.s9, b.s9, a.sa, b.sa, a.sb, b.sb, a.sc, b.sc, a.sd, b.sd, a.se, b.se, a.sf, b.sf))
#endif

/* Each turn moves the topmost bit of an element's column to its row and that of its row to its column. */
inline void transpose(vf *t)
{
#pragma unroll
    for (int turn = 1; turn < VECTOR; turn *= 2) {
        vf next[VECTOR];
#pragma unroll
        for (int i = 0; i < VECTOR / 2; i++) {
            next[2 * i] = ZIP_LOW(t[i], t[i + VECTOR / 2]);
            next[2 * i + 1] = ZIP_HIGH(t[i], t[i + VECTOR / 2]);
        }
#pragma unroll
        for (int i = 0; i < VECTOR; i++)
            t[i] = next[i];
    }
}

#endif
