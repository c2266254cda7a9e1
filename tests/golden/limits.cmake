# SPDX-License-Identifier: Apache-2.0
# Thirty-three steps of whole networks, in builds with sanitizers as well.
set(LIMIT_golden.golden 600)
set(LIMIT_golden.opencl 600)
