/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights in files: safetensors, names and layouts as torchvision's (convolutions KCRS, linear KC), so PyTorch
 * opens what Pinion writes and the other way round. Metadata: "pinion.model", "pinion.classes" (JSON array of
 * names), "pinion.class_count", "pinion.input" ("HxWxC"), "pinion.mean", "pinion.std", "pinion.sha256" (of the data
 * section); of dynamic networks also "pinion.groups", "pinion.connect", "pinion.width", "pinion.top1_per_width" and a
 * checksum per group. docs/weights.md says more.
 */
#ifndef PINION_WEIGHTS_H
#define PINION_WEIGHTS_H

#include <pinion/network.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a weights file says beside the tensors. All pointers are owned by the object. */
typedef struct pinion_weights_metadata {
    const char *model; /* zoo name, or the JSON description itself when it begins with '{'; NULL: unknown */
    const char *const *class_names; /* NULL: unknown */
    int class_count;                /* outputs of the last layer, also where names are unknown; 0: unknown */
    pinion_shape input;             /* zeros: unknown */
    float mean[3], std[3]; /* normalisation of inputs scaled to [0,1]; std 0: unknown; files have one a channel */
    int groups;            /* of a dynamic network, whose model is the one that was cut; 0: it is not cut */
    enum pinion_connect connect;
    int width;        /* so many groups the file has, from the first on, ... */
    int whole_width;  /* ... and so many of them are undamaged */
    int known_widths; /* of so many widths, from the first on, the accuracy on the test part is known */
    double top1_per_width[PINION_MAX_GROUPS]; /* percent */
} pinion_weights_metadata;

typedef struct pinion_weights_file pinion_weights_file;

/* Opens and checks a safetensors file: header inside the file, known types, shapes that match their bytes, offsets in
 * range and without overlap or holes, the checksum where there is one. PINION_EFORMAT names the tensor, what was found
 * and expected. A file of a dynamic network in which a group other than the first is damaged can be used up to the one
 * before it (whole_width); which one is damaged is logged as a warning. */
int pinion_weights_open(pinion_context *ctx, const char *path, pinion_weights_file **out);
void pinion_weights_close(pinion_weights_file *file);
const pinion_weights_metadata *pinion_weights_get_metadata(const pinion_weights_file *file);

typedef struct pinion_tensor_info {
    const char *name;  /* borrowed from the file */
    const char *dtype; /* "F32" */
    int64_t shape[8];
    int rank;
    uint64_t bytes;
} pinion_tensor_info;

int pinion_weights_get_tensor(const pinion_weights_file *file, int index,
                              pinion_tensor_info *out); /* PINION_EINVAL past the last */

typedef struct pinion_weights_load_options {
    int replace_classifier; /* 1: the last linear layer may differ in its outputs; it then keeps the values it has */
} pinion_weights_load_options;

/* Copies a file's tensors into a network's weights by name. Every parameter and running statistic must be there with
 * its shape (F32, F16, BF16 and F64 are converted); "*.num_batches_tracked" is passed over; any other name is an error,
 * and so is a value that is not finite. On failure the network's weights are unchanged. options may be NULL.
 *
 * Into a dynamic network the file's undamaged groups are loaded, as many as there are; it then has weights for these
 * and no more. The file must be of a network that was cut and connected alike. */
int pinion_weights_load(pinion_network *network, const pinion_weights_file *file,
                        const pinion_weights_load_options *options);

/* Writes a network's weights, atomically. metadata may be NULL; its mean and std count for as many values as the input
 * has channels; groups, connect and widths are the network's, whatever it says. Of a dynamic network the groups that
 * have weights are written. PINION_EINVAL: metadata that could not be read back. PINION_EIO: could not write; the old
 * file stays, unless the sentence says that the folder cannot be synced: then the new file is there, whole, but a crash
 * of the machine may bring back the old one. */
int pinion_weights_save(const pinion_network *network, const char *path, const pinion_weights_metadata *metadata);

#ifdef __cplusplus
}
#endif
#endif
