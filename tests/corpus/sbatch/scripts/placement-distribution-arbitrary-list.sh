#!/bin/bash
#SBATCH -m arbitrary -w cn1
srun ./program
