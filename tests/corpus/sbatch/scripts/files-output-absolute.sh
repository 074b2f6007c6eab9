#!/bin/bash
#SBATCH -o /scratch/%j.out
srun ./program
