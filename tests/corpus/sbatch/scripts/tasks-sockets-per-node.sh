#!/bin/bash
#SBATCH --sockets-per-node=2
srun ./program
