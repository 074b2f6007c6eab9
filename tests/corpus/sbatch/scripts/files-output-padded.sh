#!/bin/bash
#SBATCH -o run-%6j.out
srun ./program
