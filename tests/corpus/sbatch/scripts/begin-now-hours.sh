#!/bin/bash
#SBATCH -b now+3hours
srun ./program
