#!/bin/bash
#SBATCH -o %x-%j.out -J named
srun ./program
