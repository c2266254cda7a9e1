/* SPDX-License-Identifier: Apache-2.0
 *
 * Elementwise passes:
 *
 *     relu    y = max(x, 0)             dx = dy where y > 0, else 0
 *     relu6   y = min(max(x, 0), 6)     dx = dy where 0 < y < 6, else 0
 *     add     y = activation(a + b)     dx = dy, for either input (activation as asked for, forward only)
 *
 * A NaN in x stays a NaN in y, so that a diverged training is seen; its gradient is 0. Source: torch.nn.ReLU,
 * torch.nn.ReLU6 (Krizhevsky: Convolutional Deep Belief Networks on CIFAR-10, 2010).
 */
#include "kernel/ref/ref.h"

static double relu(double a, double b)
{
    (void)b;
    return pinion__activate(PINION__ACTIVATION_RELU, a);
}

static double relu_gradient(double y, double dy)
{
    return pinion__passes(PINION__ACTIVATION_RELU, y) ? dy : 0;
}

static double relu6(double a, double b)
{
    (void)b;
    return pinion__activate(PINION__ACTIVATION_RELU6, a);
}

static double relu6_gradient(double y, double dy)
{
    return pinion__passes(PINION__ACTIVATION_RELU6, y) ? dy : 0;
}

static double sum(double a, double b)
{
    return a + b;
}

static double relu_of_sum(double a, double b)
{
    return pinion__activate(PINION__ACTIVATION_RELU, a + b);
}

static double relu6_of_sum(double a, double b)
{
    return pinion__activate(PINION__ACTIVATION_RELU6, a + b);
}

static double first(double a, double b)
{
    (void)b;
    return a;
}

/* out = f(a, b), or out += f(a, b). */
static void map(const pinion__view *a, const pinion__view *b, const pinion__view *out, bool accumulate,
                double (*f)(double a, double b))
{
    for (size_t i = 0; i < pinion__view_pixels(out); i++)
        for (int c = 0; c < out->c; c++)
            pinion__put(&pinion__nth_pixel(out, i)[c],
                        f((double)pinion__nth_pixel(a, i)[c], (double)pinion__nth_pixel(b, i)[c]), accumulate);
}

static void run_relu_forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__RELU_FORWARD_X];
    map(x, x, &args->operand[PINION__RELU_FORWARD_Y], false, relu);
}

static void run_relu_backward_data(const pinion__args *args)
{
    map(&args->operand[PINION__RELU_BACKWARD_DATA_Y], &args->operand[PINION__RELU_BACKWARD_DATA_DY],
        &args->operand[PINION__RELU_BACKWARD_DATA_DX], args->accumulate, relu_gradient);
}

static void run_relu6_forward(const pinion__args *args)
{
    const pinion__view *x = &args->operand[PINION__RELU_FORWARD_X];
    map(x, x, &args->operand[PINION__RELU_FORWARD_Y], false, relu6);
}

static void run_relu6_backward_data(const pinion__args *args)
{
    map(&args->operand[PINION__RELU_BACKWARD_DATA_Y], &args->operand[PINION__RELU_BACKWARD_DATA_DY],
        &args->operand[PINION__RELU_BACKWARD_DATA_DX], args->accumulate, relu6_gradient);
}

static void run_add_forward(const pinion__args *args)
{
    static double (*const functions[])(double a, double b) = {[PINION__ACTIVATION_NONE] = sum,
                                                              [PINION__ACTIVATION_RELU] = relu_of_sum,
                                                              [PINION__ACTIVATION_RELU6] = relu6_of_sum};
    map(&args->operand[PINION__ADD_FORWARD_A], &args->operand[PINION__ADD_FORWARD_B],
        &args->operand[PINION__ADD_FORWARD_Y], false, functions[args->activation]);
}

static void run_add_backward_data(const pinion__args *args)
{
    const pinion__view *dy = &args->operand[PINION__ADD_BACKWARD_DATA_DY];
    map(dy, dy, &args->operand[PINION__ADD_BACKWARD_DATA_DX], args->accumulate, first);
}

PINION__REF_KERNEL(relu_forward);
PINION__REF_KERNEL(relu_backward_data);
PINION__REF_KERNEL(relu6_forward);
PINION__REF_KERNEL(relu6_backward_data);
PINION__REF_KERNEL(add_forward);
PINION__REF_KERNEL(add_backward_data);
