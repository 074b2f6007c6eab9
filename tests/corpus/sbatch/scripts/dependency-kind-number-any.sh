#!/bin/bash
#SBATCH -d afterok:1,1?2
srun ./program
