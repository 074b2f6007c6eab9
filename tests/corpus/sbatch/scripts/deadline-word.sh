#!/bin/bash
#SBATCH --deadline=soon
srun ./program
