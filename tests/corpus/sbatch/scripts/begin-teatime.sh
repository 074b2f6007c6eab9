#!/bin/bash
#SBATCH -b teatime
srun ./program
