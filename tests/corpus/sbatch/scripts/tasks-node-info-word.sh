#!/bin/bash
#SBATCH -B x
srun ./program
