/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables: every verb and every option once.
 */
#include "command.h"

#include <stddef.h>
#include <string.h>

/* clang-format off */
#define AT(field) offsetof(options, field)
enum { RUNS = VERB_TRAIN | VERB_EVAL | VERB_PREDICT | VERB_BENCH, PLANS = VERB_TRAIN | VERB_PLAN | VERB_BENCH };

const option option_table[] = {
    {"--model", "M|FILE.json", VERB_TRAIN | VERB_EVAL | VERB_PREDICT | VERB_PLAN | VERB_PROFILE | VERB_BENCH, OPTION_STRING, AT(model), 0, 0,
     "A model of the zoo (resnet18, resnet18-cifar, mobilenetv2-cifar, alexnet-cifar) or a network description."},
    {"--data", "SPEC", VERB_TRAIN | VERB_EVAL, OPTION_STRING, AT(data), 0, 0,
     "The data set: cifar10:DIR (binary version), images:DIR (a folder a class), synthetic (embedded)."},
    {"--val-split", "N|FILE", VERB_TRAIN, OPTION_STRING, AT(val_split), 0, 0,
     "Hold back N training samples, or those whose indices stand one a line in FILE, and keep the best weights on them."},
    {"--classes", "N", PLANS | VERB_PROFILE, OPTION_INT, AT(classes), 1, 1000000,
     "Outputs of the last linear layer. Default: the classes of the data set."},
    {"--batch", "N", PLANS | VERB_EVAL | VERB_PROFILE, OPTION_INT, AT(batch), 1, 65536,
     "Samples a step. Default: 64 (train, eval), 32 (plan, profile, bench)."},
    {"--pass", "train|infer", VERB_PLAN | VERB_PROFILE | VERB_BENCH, OPTION_CHOICE, AT(pass), 0, 0,
     "What a step is: forward, backward and update, or forward alone. Default: train."},
    {"--groups", "G", PLANS | VERB_PROFILE | VERB_INSPECT, OPTION_INT, AT(groups), 1, PINION_MAX_GROUPS,
     "Cut the channels of every layer into G groups: a dynamic network. Default: the network is not cut."},
    {"--connect", "towers|nested", PLANS | VERB_PROFILE | VERB_INSPECT, OPTION_CHOICE, AT(connect), 0, 0,
     "What a group reads: its own channels, or those of the groups before it, too. Default: towers."},
    {"--width", "J", VERB_EVAL | VERB_PREDICT | VERB_PLAN | VERB_PROFILE | VERB_BENCH, OPTION_INT, AT(width), 1, PINION_MAX_GROUPS,
     "Run only the first J groups of a dynamic network. Default: all that have weights (eval: each width)."},
    {"--deadline-ms", "X", VERB_PREDICT, OPTION_FLOAT, AT(deadline_ms), 1e-6, 1e12,
     "Of a dynamic network, answer within X milliseconds: with as many groups as end by then, and always with the first."},
    {"--margin", "M", VERB_PREDICT, OPTION_FLOAT, AT(margin), 1e-6, 1,
     "Of a dynamic network, run no further group once the likeliest class is by M more probable than the second."},
    {"--static", "J", PLANS | VERB_PROFILE | VERB_INSPECT, OPTION_INT, AT(static_width), 1, PINION_MAX_GROUPS,
     "With --groups G: do not cut the network, but scale its channels so that it has as many multiply-adds as width J of the cut one. A baseline."},
    {"--incremental", NULL, VERB_TRAIN, OPTION_FLAG, AT(incremental), 0, 0,
     "Train the groups of a dynamic network one after another, in stages; with --weights, those that FILE does not have."},
    {"--joint", NULL, VERB_TRAIN, OPTION_FLAG, AT(joint), 0, 0,
     "Train all groups of a dynamic network at once, for all widths: narrower ones learn from the full width's answers."},
    {"--distillation-weight", "X", VERB_TRAIN, OPTION_FLOAT, AT(distillation_weight), 0, 1e6,
     "Joint training: how much the loss of each narrower width counts beside that of the full width. Default: 0.3."},
    {"--finetune-joint", NULL, VERB_TRAIN, OPTION_FLAG, AT(finetune_joint), 0, 0,
     "After --incremental, or from --weights FILE with all groups: train all groups jointly, which changes earlier ones too."},
    {"--stage", "K", VERB_TRAIN, OPTION_INT, AT(stage), 1, PINION_MAX_GROUPS,
     "Train group K alone, behind the K-1 groups of --weights FILE, which stay as they are."},
    {"--epochs", "N[,N...]", VERB_TRAIN, OPTION_INT_LIST, AT(epochs), 1, 1000000,
     "Walks over the training part; a list has one number a stage, of which the last holds for all further ones. Default: 10."},
    {"--steps", "N", VERB_TRAIN, OPTION_INT64, AT(steps), 1, 1e15, "End, or end each stage, after N steps instead of after --epochs."},
    {"--optimizer", "sgd|adamw", VERB_TRAIN, OPTION_CHOICE, AT(optimizer), 0, 0,
     "sgd (Nesterov momentum) or adamw. Default: sgd."},
    {"--lr", "X[,X...]", VERB_TRAIN, OPTION_FLOAT_LIST, AT(lr), 1e-12, 1e6,
     "Learning rate, the schedule's maximum; a list as with --epochs. Default: 0.1 (sgd), 0.001 (adamw)."},
    {"--momentum", "X", VERB_TRAIN, OPTION_FLOAT, AT(momentum), 0, 0.999999, "Momentum (sgd) or beta1 (adamw). Default: 0.9."},
    {"--weight-decay", "X", VERB_TRAIN, OPTION_FLOAT, AT(weight_decay), 0, 1e6,
     "Weight decay of convolution and linear weights. Default: 0.0005."},
    {"--schedule", "constant|step|cosine|onecycle", VERB_TRAIN, OPTION_CHOICE, AT(schedule), 0, 0,
     "How the learning rate moves. Default: onecycle (30 % linear warm-up from lr/25, cosine to lr/250000)."},
    {"--clip-norm", "X", VERB_TRAIN, OPTION_FLOAT, AT(clip_norm), 1e-30, 1e30, "Scale gradients so that their global norm is at most X."},
    {"--label-smoothing", "X", VERB_TRAIN, OPTION_FLOAT, AT(label_smoothing), 0, 0.999999, "Share of the target given to all classes alike. Default: 0."},
    {"--augment", "LIST|none", VERB_TRAIN, OPTION_STRING, AT(augment), 0, 0,
     "crop, flip, crop,flip or none. Default: the data set's own (cifar10, images: crop,flip)."},
    {"--freeze", "PATTERN", VERB_TRAIN, OPTION_STRING, AT(freeze), 0, 0,
     "Layers that are not trained: names, prefixes up to a dot, or wildcards, separated by commas."},
    {"--seed", "N", VERB_TRAIN, OPTION_SEED, AT(seed), 0, 0, "Seed of weights, order and augmentation. Default: 1."},
    {"--threads", "N", VERB_DEVICES | RUNS | VERB_PLAN | VERB_PROFILE, OPTION_INT, AT(threads), 1, 256, "Threads of the CPU. Default: physical cores."},
    {"--processors", "LIST", PLANS | VERB_PROFILE, OPTION_STRING, AT(processors), 0, 0,
     "The processors that tasks may run on, separated by commas: cpu, cpu:0 (a cluster of cores), opencl:0 (see: pinion devices), each optionally /N for at most N "
     "cores: cpu/1,opencl:0/1. Default: cpu."},
    {"--place", "HOW", PLANS, OPTION_STRING, AT(place), 0, 0,
     "Which processor runs each task: auto (the best predicted plan), serial (one task at a time, the exact minimum), concurrent (several at once), unsliced (the same without cutting the batch), greedy (each task where "
     "it is fastest), layerwise (a processor a layer and direction), a processor of the list, or a file of pinion plan --out. Default: auto."},
    {"--reps", "N", VERB_BENCH, OPTION_INT, AT(reps), 1, 100000, "Timed steps. Default: enough for about 3 seconds, at least 5."},
    {"--mem-limit", "SIZE|auto|none", PLANS, OPTION_SIZE, AT(mem_limit), 0, 0,
     "Most memory for weights, optimiser, activations and gradients: bytes, or as 200M (K, M, G are 2^10, 2^20, 2^30). Where it is tight, activations are "
     "computed once more, then the batch is cut into micro-batches. auto: no limit, but activations are computed once more where that saves much memory for at most 8 % of the step. none: neither. Default: auto."},
    {"--patience", "estimate|measure|patient", PLANS | VERB_PROFILE, OPTION_CHOICE, AT(patience), 0, 0,
     "How kernels and processors are chosen: by times that are known, else by a fixed order (estimate); by timing what is not known, at most 20 seconds a processor "
     "(measure) or, more carefully, 2 minutes (patient). Default: measure."},
    {"--no-fuse", NULL, PLANS | VERB_PROFILE, OPTION_FLAG, AT(no_fuse), 0, 0,
     "Make every pass of every layer a task of its own. The result is the same up to rounding."},
    {"--candidates", NULL, VERB_PLAN, OPTION_FLAG, AT(candidates), 0, 0, "Show the kernels that were not chosen, too, with their times."},
    {"--timeline", NULL, VERB_PLAN, OPTION_FLAG, AT(timeline), 0, 0, "Draw when each processor runs what, as text."},
    {"--out", "FILE", VERB_PLAN, OPTION_STRING, AT(plan_out), 0, 0, "Write which processor and kernel runs each task, for --place FILE."},
    {"--replan", NULL, VERB_TRAIN, OPTION_FLAG, AT(replan), 0, 0,
     "Time everything once more and plan anew where steps take much longer or shorter than planned for several in a row."},
    {"--trace", "FILE", VERB_TRAIN | VERB_BENCH, OPTION_STRING, AT(trace), 0, 0,
     "Write a Chrome trace of all steps (opens in Perfetto): a row a processor, hand-overs between them."},
    {"--weights", "FILE", VERB_TRAIN | VERB_EVAL | VERB_PREDICT, OPTION_STRING, AT(weights), 0, 0,
     "Weights (safetensors). train: where to start; with --classes the last layer is replaced where it differs."},
    {"--out", "FILE", VERB_TRAIN, OPTION_STRING, AT(out), 0, 0,
     "Where weights go: W.safetensors, with the checkpoint W.state.safetensors beside it. Default: pinion-MODEL.safetensors."},
    {"--save-every", "STEPS", VERB_TRAIN, OPTION_INT64, AT(save_every), 1, 1e15, "Save every so many steps too, not only at the end of an epoch."},
    {"--resume", "FILE", VERB_TRAIN, OPTION_STRING, AT(resume), 0, 0, "Continue an interrupted training from its checkpoint, bit for bit."},
    {"--log", "FILE.jsonl", VERB_TRAIN, OPTION_STRING, AT(log), 0, 0, "Write one JSON line a step and an epoch."},
    {"--json", NULL, VERB_DEVICES | VERB_TRAIN | VERB_EVAL | VERB_PREDICT | VERB_PLAN | VERB_PROFILE | VERB_BENCH | VERB_INSPECT, OPTION_FLAG, AT(json), 0, 0,
     "The last line of standard output is one JSON object."},
    {"--man", NULL, VERB_HELP, OPTION_FLAG, AT(man), 0, 0, "Print the man page (troff)."},
    {"--completion", NULL, VERB_HELP, OPTION_FLAG, AT(completion), 0, 0, "Print the completion script for bash."},
};
const int option_count = sizeof option_table / sizeof *option_table;

const verb verb_table[] = {
    {"devices", VERB_DEVICES, "list the processors of this machine", "",
     "Lists the processors that Pinion can use, with their cores and instruction set.", NULL, run_devices},
    {"train", VERB_TRAIN, "train a network", "",
     "Trains a network on a data set. Weights and a checkpoint are rewritten at the end of every epoch, every --save-every steps "
     "and at the end. SIGINT and SIGTERM finish the step, save, and exit with 130; --resume continues as if nothing had happened.",
     NULL, run_train},
    {"eval", VERB_EVAL, "measure the accuracy of weights", "",
     "Measures top-1 accuracy and loss on the test part of a data set (on all samples where it has no test part).",
     "--weights --data", run_eval},
    {"predict", VERB_PREDICT, "classify images", "INPUT...",
     "Classifies PNG or JPEG images and prints the likeliest classes of each.", "--weights", run_predict},
    {"plan", VERB_PLAN, "show the tasks of a step", "",
     "Shows the plan of a step: every task with its pass, its time on each processor, and the processor and kernel that run it; what it takes in time and memory; and, with several "
     "processors, what a step takes on each of them alone and placed in other ways.", "--model", run_plan},
    {"profile", VERB_PROFILE, "measure tasks on processors", "",
     "Measures the tasks of a step on each processor, and hand-overs between them, as far as that is not known yet, and keeps the times for later plans.", "--model", run_profile},
    {"bench", VERB_BENCH, "time a step", "",
     "Times a step on random data: a warm-up, then the minimum, median and maximum of repetitions, with the memory used.",
     "--model", run_bench},
    {"inspect", VERB_INSPECT, "show what is in a weights file", "FILE",
     "Shows the tensors and the metadata of a safetensors file or the layers of a network description; of a dynamic network also what each width takes, and its accuracy where the file knows it.", NULL, run_inspect},
    {"version", VERB_VERSION, "print the version", "", "Prints the version.", NULL, run_version},
    {"help", VERB_HELP, "explain a verb", "[VERB]", "Explains a verb and its options.", NULL, run_help},
};
const int verb_count = sizeof verb_table / sizeof *verb_table;
/* clang-format on */

const verb *find_verb(const char *name)
{
    for (int i = 0; i < verb_count; i++)
        if (strcmp(verb_table[i].name, name) == 0)
            return &verb_table[i];
    return NULL;
}
