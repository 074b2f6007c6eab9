#!/bin/bash
#SBATCH --gpus-per-socket=1 --sockets-per-node=2
srun ./program
