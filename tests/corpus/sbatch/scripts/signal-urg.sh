#!/bin/bash
#SBATCH --signal=URG
srun ./program
