#!/bin/bash
#SBATCH -C "(intel|amd)&ib"
srun ./program
