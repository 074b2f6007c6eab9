#!/bin/bash
#SBATCH -b now+0
srun ./program
