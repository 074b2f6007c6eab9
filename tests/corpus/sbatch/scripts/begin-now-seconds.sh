#!/bin/bash
#SBATCH -b now+60
srun ./program
