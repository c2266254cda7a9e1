# SPDX-License-Identifier: Apache-2.0
# Half a minute on two idle cores; machines that build at the same time, emulators and sanitizers need more.
set(LIMIT_kernel.kernels 600)
set(LIMIT_kernel.mutants 300)
set(LIMIT_kernel.ref 300)
