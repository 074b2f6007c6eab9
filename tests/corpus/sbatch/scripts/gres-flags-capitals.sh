#!/bin/bash
#SBATCH --gres-flags=Disable-Binding
srun ./program
