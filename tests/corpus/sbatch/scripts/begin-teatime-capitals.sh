#!/bin/bash
#SBATCH -b TEATIME
srun ./program
