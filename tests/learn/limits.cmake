# SPDX-License-Identifier: Apache-2.0
# Hundreds of short trainings, each with its synced saves; slow where the disk or an emulator or sanitizer is.
set(LIMIT_learn.kill 600)
set(LIMIT_learn.memory 600)
set(LIMIT_learn.resume 300)
set(LIMIT_learn.resume_refused 300)
set(LIMIT_learn.stages 300)
set(LIMIT_learn.stages_resume 600)
set(LIMIT_learn.train 300)
