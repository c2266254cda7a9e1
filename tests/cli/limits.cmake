# SPDX-License-Identifier: Apache-2.0
# Dozens of commands, of which some make or measure everything anew.
set(LIMIT_cli.train 600)
set(LIMIT_cli.wisdom 600)
set(LIMIT_cli.stages 600)
