#!/bin/bash
#SBATCH -b 010227
srun ./program
