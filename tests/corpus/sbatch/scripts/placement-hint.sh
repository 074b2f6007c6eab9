#!/bin/bash
#SBATCH --hint=nomultithread
srun ./program
