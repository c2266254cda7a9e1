# SPDX-License-Identifier: Apache-2.0
"""Random numbers as a function of a counter, the same in Python and in C.

Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3",
SC 2011).  README.md of this folder states every definition.  Element e of a
tensor uses lane e mod 4 of the call with index e div 4, so that any element can
be had without those before it.
"""

import numpy as np

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)

KNOWN_ANSWERS = (  # counter, key, output: Random123's kat_vectors
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)


def philox(counter, key):
    """Four words for each counter; `counter` is four arrays or numbers, `key` two numbers."""
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(c, np.uint64) for c in counter))
    k0, k1 = key
    for _ in range(10):
        p0 = np.uint64(MULTIPLIERS[0]) * c0
        p1 = np.uint64(MULTIPLIERS[1]) * c2
        c0, c1, c2, c3 = (
            (p1 >> HALF) ^ c1 ^ np.uint64(k0),
            p1 & LOW,
            (p0 >> HALF) ^ c3 ^ np.uint64(k1),
            p0 & LOW,
        )
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def words(seed, purpose, stream, count, first=0):
    """`count` words from element `first` (a multiple of 4) on, as uint64 below 2^32."""
    assert first % 4 == 0
    index = np.arange(first // 4, (first + count + 3) // 4, dtype=np.uint64)
    key = (seed & 0xFFFFFFFF, seed >> 32)
    lanes = philox((index & LOW, index >> HALF, purpose, stream), key)
    return np.stack(lanes, axis=1).reshape(-1)[:count]


def uniforms(seed, purpose, stream, count):
    """float64 in [0, 1), multiples of 2^-24."""
    return (words(seed, purpose, stream, count) >> np.uint64(8)) * 2.0**-24


def normals(seed, purpose, stream, count):
    """float64 standard normal: Box-Muller on lanes (0, 1) and on lanes (2, 3)."""
    pairs = words(seed, purpose, stream, (count + 3) // 4 * 4).reshape(-1, 2) >> np.uint64(8)
    radius = np.sqrt(-2 * np.log((pairs[:, 0] + 0.5) * 2.0**-24))
    angle = 2 * np.pi * (pairs[:, 1] * 2.0**-24)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)[:count]


def check():
    """Compare with the published known answers."""
    for counter, key, output in KNOWN_ANSWERS:
        assert tuple(int(word) for word in philox(counter, key)) == output


if __name__ == "__main__":
    check()
    print("philox: known answers hold")
    for seed, purpose, stream, count in ((1, 1001, 0, 8), (2**32 + 1, 1002, 3, 4)):
        print(seed, purpose, stream, [f"{int(w):08x}" for w in words(seed, purpose, stream, count)])
        print("  uniforms", [float(v) for v in uniforms(seed, purpose, stream, count)])
        print("  normals ", [float(v) for v in normals(seed, purpose, stream, count)])
