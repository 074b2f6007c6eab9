#!/bin/bash
#SBATCH hello
srun ./program
