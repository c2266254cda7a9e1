/* SPDX-License-Identifier: Apache-2.0
 *
 * Error codes. Every fallible function of the library returns int: 0 (PINION_OK) or one of the
 * negative codes below; results go through out-parameters, which are left untouched on failure, but
 * for that of pinion_context_create(), which is set to NULL.
 * The sentence that explains a failure is kept by the context: pinion_context_error().
 */
#ifndef PINION_ERROR_H
#define PINION_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, value, text) */
#define PINION_ERRORS(X)                                                                                               \
    X(OK, 0, "done")                                                                                                   \
    X(EFAILED, -1, "failed")                                                                                           \
    X(EINVAL, -2, "invalid argument")                                                                                  \
    X(EFORMAT, -3, "malformed or unreadable input")                                                                    \
    X(ENOMEM, -4, "out of memory")                                                                                     \
    X(EIO, -5, "could not write")                                                                                      \
    X(ENONFINITE, -6, "a value is not finite")                                                                         \
    X(EINTERRUPTED, -7, "interrupted")                                                                                 \
    X(EUNSUPPORTED, -8, "not supported on this machine")                                                               \
    X(EDEVICE, -9, "a device failed")

enum pinion_error {
#define PINION_ERROR_ENUM(name, value, text) PINION_##name = value,
    PINION_ERRORS(PINION_ERROR_ENUM)
#undef PINION_ERROR_ENUM
};

/* The short text of a code ("out of memory"); "unknown error" for a value that is none. Never NULL. */
const char *pinion_error_text(int code);

/* The name of a code ("PINION_ENOMEM"). Never NULL. */
const char *pinion_error_name(int code);

#ifdef __cplusplus
}
#endif
#endif
