#!/bin/bash
#SBATCH -m *:*:cyclic
srun ./program
