#!/bin/bash
#SBATCH -b now+2weeks
srun ./program
