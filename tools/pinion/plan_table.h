/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan as text: its tasks, what other placements would take, and its timeline.
 */
#ifndef PINION_TOOL_PLAN_TABLE_H
#define PINION_TOOL_PLAN_TABLE_H

#include "command.h"

void print_plan_table(const pinion_plan *plan, bool candidates);
void print_timeline(const pinion_plan *plan);

#endif
