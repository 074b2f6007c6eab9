#!/bin/bash
#SBATCH -o %t-%n-%s-%a.out
srun ./program
