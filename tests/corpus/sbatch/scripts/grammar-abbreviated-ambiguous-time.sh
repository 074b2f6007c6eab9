#!/bin/bash
#SBATCH --ti=5
srun ./program
