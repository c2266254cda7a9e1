/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of VECTOR floats (a build option: 4, 8 or 16) along channels. Addresses need no alignment beyond a
 * float's. The `_some` forms touch the first `count` elements and nothing behind them; from VECTOR on count means all.
 * With the build option WHOLE every count is VECTOR.
 */
#ifndef VECTOR_CL
#define VECTOR_CL

#define VF_PASTE(a, b) a##b
#define VF_JOIN(a, b) VF_PASTE(a, b)

typedef VF_JOIN(float, VECTOR) vf;
typedef VF_JOIN(int, VECTOR) vi;
#if VECTOR >= 8
/* Where vectors are wide one unaligned access is faster than what some drivers make of vload16 and vstore16: accesses
 * to its parts. */
typedef struct __attribute__((packed, aligned(4))) vf_unaligned {
    vf of;
} vf_unaligned;
#define vf_load(p) (((const __global vf_unaligned *)(p))->of)
#define vf_store(p, v) (((__global vf_unaligned *)(p))->of = (v))
#else
#define vf_load(p) VF_JOIN(vload, VECTOR)(0, p)
#define vf_store(p, v) VF_JOIN(vstore, VECTOR)(v, 0, p)
#endif
/* a where the mask's elements are true, else b. */
#define vf_where(mask, a, b) select((vf)(b), (vf)(a), mask)

#ifdef WHOLE

#define vf_load_some(p, count) vf_load(p)
#define vf_store_some(p, v, count) vf_store(p, v)

#else

static inline vf vf_load_some(const __global float *p, int count)
{
    if (count >= VECTOR)
        return vf_load(p);
    float part[VECTOR];
    for (int i = 0; i < VECTOR; i++)
        part[i] = i < count ? p[i] : 0.0f;
    return VF_JOIN(vload, VECTOR)(0, (const float *)part);
}

static inline void vf_store_some(__global float *p, vf v, int count)
{
    if (count >= VECTOR) {
        vf_store(p, v);
        return;
    }
    float part[VECTOR];
    VF_JOIN(vstore, VECTOR)(v, 0, (float *)part);
    for (int i = 0; i < count; i++)
        p[i] = part[i];
}

#endif

#define vf_set1(s) ((vf)(s))

/* v, added to what is there where `add`. */
static inline void vf_put(__global float *p, vf v, int count, int add)
{
    vf_store_some(p, add ? vf_load_some(p, count) + v : v, count);
}

#endif
